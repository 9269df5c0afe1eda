//! The layout table: what stands where in a future, as far as it leads to what the future waits for.
//!
//! A node is a type at an address. All offsets are bytes from that address. A node that has [`FRAME`] is shown (an `async fn`, a future
//! with a name); one that has not is only passed through (`Pin`, `Box`, `Option`, a tuple).

/// What a node's fields mean. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NodeKind {
    /// Nothing that is awaited lies inside: the walk has come to a leaf.
    Leaf = 0,
    /// One thing inside: `edges[first]`.
    Inside = 1,
    /// A tag of `width` bytes at `offset`, little endian. A tag from `base` on, `count` of them, takes `edges[first + (tag - base)]`, any
    /// other takes the edge number `aux`, or is [`super::AwaitEnd::BadTag`] where `aux` is [`NO_EDGE`].
    Tagged = 2,
    /// A pointer of 8 bytes at `offset`: `edges[first]` is taken from the address it holds. Null: nothing is awaited.
    Pointer = 3,
    /// A `dyn` future: data pointer at `offset`, vtable pointer at `aux`. The vtable's address names the node ([`super::Tables::entry`]).
    Dyn = 4,
    /// All of `edges[first .. first + count]`, in their order. With `width` above 0 there is a pointer at `aux` to a mask of `width`
    /// bytes: where bit n is set, edge n is not awaited (`tokio::select!`).
    Branches = 5,
    /// A pointer to elements at `offset`, their number (8 bytes) at `aux`, `base` bytes from one to the next; `edges[first]` from each.
    Slice = 6,
    /// A linked list: pointer to the first element at `offset`, in each element a pointer to the next at `aux`, null at the end;
    /// `edges[first]` from each element (`FuturesUnordered`).
    List = 7,
    /// A pointer to the header of another task at `offset` (`JoinHandle`): the walk ends there and says which.
    Task = 8,
}

/// [`Node::flags`]: the node is shown.
pub const FRAME: u16 = 1;
/// [`Node::flags`]: a coroutine; its tag is its state and goes into its word.
pub const COROUTINE: u16 = 2;
/// [`Node::flags`]: a future that carries a task-local value; of a [`NodeKind::Inside`] or [`NodeKind::Leaf`] node only. `offset` is where the
/// address of its key lies, `aux` where its slot does.
pub const TASK_LOCAL: u16 = 4;

/// [`Node::aux`] of a [`NodeKind::Tagged`] node without an edge for other tags.
pub const NO_EDGE: u32 = u32::MAX;

/// One type, as far as a walk goes through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Node {
    /// [`NodeKind`] as a number.
    pub kind: u8,
    /// Bytes of the tag, or of the mask.
    pub width: u8,
    /// [`FRAME`], [`COROUTINE`], [`TASK_LOCAL`].
    pub flags: u16,
    /// See [`NodeKind`].
    pub offset: u32,
    /// The place of its first edge.
    pub first: u32,
    /// How many edges it has, without the one for other tags.
    pub count: u32,
    /// See [`NodeKind`].
    pub aux: u32,
    /// Keeps the rest aligned; always 0.
    pub padding: u32,
    /// See [`NodeKind`].
    pub base: u64,
}

/// Where to go on: the node `node` at `offset` bytes from where the edge starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Edge {
    /// Bytes.
    pub offset: u32,
    /// The place of the node, or one of the [`target`] words.
    pub node: u32,
}

/// [`Edge::node`] where it is no node.
pub mod target {
    /// Nothing is awaited here (`None`, a branch that is done). A frame whose edge leads here is not shown: it is not pending.
    pub const NOTHING: u32 = 0xff_ffff;
    /// Something is, but its shape is not understood: the branch ends with [`super::super::AwaitEnd::Unsupported`].
    pub const UNKNOWN: u32 = 0xff_fffe;
    /// A coroutine that has returned or panicked: as [`NOTHING`], but at the root of a walk it says that nothing is pending.
    pub const SPENT: u32 = 0xff_fffd;
    /// Shown, with nothing inside: a coroutine that has not been polled yet. Beside other branches such a coroutine is not awaited, and is
    /// left out.
    pub const UNSTARTED: u32 = 0xff_fffc;
    /// Nodes are below this.
    pub const FIRST: u32 = 0xff_0000;
}
