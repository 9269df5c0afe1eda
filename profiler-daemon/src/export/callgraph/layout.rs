//! Where nodes and edges of a graph are drawn: in layers, callers above what they call.
//!
//! The usual four steps (Sugiyama, Tagawa, Toda 1981): edges that close a circle are turned round; each node's layer is one below the
//! lowest of its callers, and an edge over several layers has a bend in each; a layer is ordered by where its neighbours stand; nodes move
//! as near to their neighbours as the order allows. The same graph gives the same picture.

/// What is drawn: the size of each node, and edges by the nodes' places.
pub(super) struct Shape {
    pub(super) sizes: Vec<Size>,
    pub(super) edges: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A point, from the left upper corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Where everything is.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// The middle of each node.
    pub(super) nodes: Vec<Point>,
    /// The points that each edge goes through, from its caller to its callee. A node's edge to itself has none.
    pub(super) edges: Vec<Vec<Point>>,
    pub(super) size: Size,
}

/// Between two nodes of a layer, and between two layers.
const GAP_X: f64 = 28.0;
const GAP_Y: f64 = 64.0;
const MARGIN: f64 = 24.0;
/// Times that layers are ordered and moved, down and up again. More changes little.
const SWEEPS: usize = 12;

/// Lays a graph out. Edges to nodes that are not there are left out.
pub(super) fn layout(shape: &Shape) -> Layout {
    let mut layers = Layers::of(shape);
    for _ in 0..SWEEPS {
        layers.order();
    }
    layers.place();
    layers.layout(shape)
}

/// A node, or the bend of an edge.
#[derive(Clone, Debug, Default)]
struct Spot {
    layer: usize,
    size: Size,
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// An edge's spots, from the upper to the lower, and whether it was turned round.
struct Way {
    edge: usize,
    spots: Vec<usize>,
    turned: bool,
}

struct Layers {
    spots: Vec<Spot>,
    orders: Vec<Vec<usize>>,
    ways: Vec<Way>,
}

impl Layers {
    fn of(shape: &Shape) -> Self {
        let count = shape.sizes.len();
        let known = |&(_, &(from, to)): &(usize, &(usize, usize))| from != to && from < count && to < count;
        let edges: Vec<(usize, (usize, usize))> =
            shape.edges.iter().enumerate().filter(known).map(|(at, edge)| (at, *edge)).collect();
        let turned = turned(count, &edges);
        let downward: Vec<(usize, usize)> =
            edges.iter().zip(&turned).map(|(&(_, (from, to)), &turned)| if turned { (to, from) } else { (from, to) }).collect();
        let ranks = ranks(count, &downward);
        let spots = shape.sizes.iter().zip(&ranks).map(|(&size, &layer)| Spot { layer, size, ..Spot::default() }).collect();
        let mut all = Self { spots, orders: Vec::new(), ways: Vec::new() };
        for ((&(edge, _), &turned), &(upper, lower)) in edges.iter().zip(&turned).zip(&downward) {
            let spots = all.way(upper, lower);
            all.ways.push(Way { edge, spots, turned });
        }
        let depth = all.spots.iter().map(|spot| spot.layer.saturating_add(1)).max().unwrap_or(0);
        all.orders = vec![Vec::new(); depth];
        for (at, spot) in all.spots.iter().enumerate() {
            if let Some(layer) = all.orders.get_mut(spot.layer) {
                layer.push(at);
            }
        }
        all
    }

    /// A spot in each layer from the one node to the other.
    fn way(&mut self, upper: usize, lower: usize) -> Vec<usize> {
        let layer_of = |spots: &[Spot], at: usize| spots.get(at).map_or(0, |spot| spot.layer);
        let (first, last) = (layer_of(&self.spots, upper), layer_of(&self.spots, lower));
        let mut way = vec![upper];
        for layer in first.saturating_add(1)..last {
            way.push(self.spots.len());
            self.spots.push(Spot { layer, size: Size { width: 8.0, height: 0.0 }, ..Spot::default() });
        }
        way.push(lower);
        for (&from, &to) in way.iter().zip(way.iter().skip(1)) {
            if let Some(spot) = self.spots.get_mut(from) {
                spot.below.push(to);
            }
            if let Some(spot) = self.spots.get_mut(to) {
                spot.above.push(from);
            }
        }
        way
    }

    /// Orders each layer by the mean place of the neighbours above, from the top down, then by those below, from the bottom up.
    fn order(&mut self) {
        let down: Vec<(usize, bool)> = (0..self.orders.len()).map(|layer| (layer, true)).collect();
        let up = down.iter().rev().map(|&(layer, _)| (layer, false));
        for (layer, by_above) in down.iter().copied().chain(up) {
            let places = self.places();
            let Some(order) = self.orders.get_mut(layer) else { continue };
            let mut keyed: Vec<(f64, usize)> = order
                .iter()
                .enumerate()
                .map(|(at, &spot)| {
                    let near = self.spots.get(spot).map(|spot| if by_above { &spot.above } else { &spot.below });
                    (mean(near.into_iter().flatten().filter_map(|&near| places.get(near).copied())).unwrap_or(as_f64(at)), spot)
                })
                .collect();
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            *order = keyed.into_iter().map(|(_, spot)| spot).collect();
        }
    }

    /// The place of each spot in its layer.
    fn places(&self) -> Vec<f64> {
        let mut places = vec![0.0; self.spots.len()];
        for layer in &self.orders {
            for (at, &spot) in layer.iter().enumerate() {
                if let Some(place) = places.get_mut(spot) {
                    *place = as_f64(at);
                }
            }
        }
        places
    }

    /// Moves each layer's spots to the mean of their neighbours, without changing their order.
    fn place(&mut self) {
        for layer in self.orders.clone() {
            self.move_layer(&layer, |spot| spot.x.max(0.0), |_| Vec::new());
        }
        for sweep in 0..SWEEPS {
            let mut layers = self.orders.clone();
            let by_above = sweep % 2 == 0;
            if !by_above {
                layers.reverse();
            }
            for layer in layers {
                let near = |spot: &Spot| if by_above { spot.above.clone() } else { spot.below.clone() };
                self.move_layer(&layer, |spot| spot.x, near);
            }
        }
    }

    fn move_layer(&mut self, layer: &[usize], stay: impl Fn(&Spot) -> f64, near: impl Fn(&Spot) -> Vec<usize>) {
        // Each spot's least distance from the left, in this order.
        let (mut offsets, mut wanted, mut offset, mut before) = (Vec::new(), Vec::new(), 0.0, None);
        for spot in layer.iter().filter_map(|&at| self.spots.get(at)) {
            if let Some(width) = before {
                offset += f64::midpoint(width, spot.size.width) + GAP_X;
            }
            before = Some(spot.size.width);
            let xs = near(spot).into_iter().filter_map(|at| self.spots.get(at)).map(|spot| spot.x);
            wanted.push(mean(xs).unwrap_or_else(|| stay(spot)) - offset);
            offsets.push(offset);
        }
        for ((&at, x), offset) in layer.iter().zip(non_decreasing(&wanted)).zip(offsets) {
            if let Some(spot) = self.spots.get_mut(at) {
                spot.x = x + offset;
            }
        }
    }

    fn layout(&self, shape: &Shape) -> Layout {
        let mut tops = Vec::new();
        let mut y = MARGIN;
        for layer in &self.orders {
            let height = layer.iter().filter_map(|&at| self.spots.get(at)).map(|spot| spot.size.height).fold(0.0, f64::max);
            tops.push(y + height / 2.0);
            y += height + GAP_Y;
        }
        let edge_of = |of: fn(f64, f64) -> f64, side: f64| {
            let ends = self.spots.iter().map(|spot| spot.x + side * spot.size.width / 2.0);
            ends.reduce(of).unwrap_or(0.0)
        };
        let (left, right) = (edge_of(f64::min, -1.0), edge_of(f64::max, 1.0));
        let point = |at: usize| {
            let spot = self.spots.get(at)?;
            Some(Point { x: spot.x - left + MARGIN, y: tops.get(spot.layer).copied().unwrap_or(0.0) })
        };
        let mut edges = vec![Vec::new(); shape.edges.len()];
        for way in &self.ways {
            let mut points: Vec<Point> = way.spots.iter().filter_map(|&at| point(at)).collect();
            if way.turned {
                points.reverse();
            }
            if let Some(edge) = edges.get_mut(way.edge) {
                *edge = points;
            }
        }
        let size = Size { width: right - left + 2.0 * MARGIN, height: (y - GAP_Y).max(0.0) + MARGIN };
        Layout { nodes: (0..shape.sizes.len()).filter_map(point).collect(), edges, size }
    }
}

/// Which edges close a circle on a walk from the first node on, so that without them there is none.
fn turned(count: usize, edges: &[(usize, (usize, usize))]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut out: Vec<Vec<(usize, usize)>> = vec![Vec::new(); count];
    for (number, &(_, (from, to))) in edges.iter().enumerate() {
        if let Some(out) = out.get_mut(from) {
            out.push((number, to));
        }
    }
    let (mut seen, mut turned) = (vec![Seen::Not; count], vec![false; edges.len()]);
    for root in 0..count {
        // A list in place of recursion: a graph may be as deep as it has nodes.
        let mut walk = vec![(root, 0_usize)];
        if seen.get(root) != Some(&Seen::Not) {
            continue;
        }
        while let Some((node, next)) = walk.pop() {
            if let Some(state) = seen.get_mut(node) {
                *state = Seen::Open;
            }
            match out.get(node).and_then(|out| out.get(next)) {
                Some(&(edge, to)) => {
                    walk.push((node, next.saturating_add(1)));
                    match seen.get(to) {
                        Some(Seen::Open) => {
                            if let Some(turned) = turned.get_mut(edge) {
                                *turned = true;
                            }
                        }
                        Some(Seen::Not) => walk.push((to, 0)),
                        Some(Seen::Done) | None => {}
                    }
                }
                None => {
                    if let Some(state) = seen.get_mut(node) {
                        *state = Seen::Done;
                    }
                }
            }
        }
    }
    turned
}

/// The layer of each node: one below the lowest of its callers. The edges have no circle.
fn ranks(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut ranks = vec![0_usize; count];
    let mut waiting = vec![0_usize; count];
    for &(_, to) in edges {
        if let Some(waiting) = waiting.get_mut(to) {
            *waiting = waiting.saturating_add(1);
        }
    }
    let mut ready: Vec<usize> = waiting.iter().enumerate().filter(|(_, waiting)| **waiting == 0).map(|(node, _)| node).collect();
    while let Some(node) = ready.pop() {
        let below = ranks.get(node).map_or(0, |rank| rank.saturating_add(1));
        for &(_, to) in edges.iter().filter(|(from, _)| *from == node) {
            if let (Some(rank), Some(waiting)) = (ranks.get_mut(to), waiting.get_mut(to)) {
                *rank = (*rank).max(below);
                *waiting = waiting.saturating_sub(1);
                if *waiting == 0 {
                    ready.push(to);
                }
            }
        }
    }
    ranks
}

/// The non-decreasing numbers nearest to these (least squares): neighbours that are out of order share their mean.
fn non_decreasing(wanted: &[f64]) -> Vec<f64> {
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    for &x in wanted {
        let mut block = (x, 1.0);
        while let Some((mean, count)) = blocks.pop_if(|(mean, _)| *mean > block.0) {
            block = ((mean * count + block.0 * block.1) / (count + block.1), count + block.1);
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean, as_usize(count))).collect()
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[expect(clippy::cast_precision_loss, reason = "a place among some hundred nodes")]
const fn as_f64(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of some hundred nodes, made of ones")]
const fn as_usize(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size { width: 100.0, height: 40.0 };

    fn of(count: usize, edges: &[(usize, usize)]) -> Layout {
        layout(&Shape { sizes: vec![SIZE; count], edges: edges.to_vec() })
    }

    #[test]
    fn callers_stand_above_what_they_call() {
        let drawn = of(4, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3), (3, 3)]);
        let y: Vec<f64> = drawn.nodes.iter().map(|node| node.y).collect();
        assert!(y[0] < y[1] && (y[1] - y[2]).abs() < 0.1 && y[2] < y[3]);
        assert_eq!(
            (drawn.edges[0].len(), drawn.edges[4].len(), drawn.edges[5].len()),
            (2, 3, 0),
            "a bend, and a node's edge to itself"
        );
        assert!((drawn.nodes[0].x - drawn.nodes[3].x).abs() < 60.0, "{drawn:?}");
        assert_eq!(of(0, &[]), Layout { size: Size { width: 2.0 * MARGIN, height: MARGIN }, ..Layout::default() });
    }

    #[test]
    fn numbers_out_of_order_share_their_mean() {
        assert_eq!(non_decreasing(&[1.0, 3.0, 2.0, 9.0, 0.0]), [1.0, 2.5, 2.5, 4.5, 4.5]);
        assert_eq!(non_decreasing(&[3.0, 2.0, 1.0]), [2.0; 3]);
    }

    proptest! {
        /// Check that no two nodes lie on one another, all lie in the picture, and edges go from their caller to their callee.
        #[test]
        fn any_graph_is_drawn(count in 0_usize..14, edges in prop::collection::vec((0_usize..15, 0_usize..15), 0..40)) {
            let drawn = of(count, &edges);
            prop_assert_eq!(&drawn, &of(count, &edges));
            prop_assert_eq!((drawn.nodes.len(), drawn.edges.len()), (count, edges.len()));
            for (at, one) in drawn.nodes.iter().enumerate() {
                prop_assert!(one.x >= 50.0 && one.x <= drawn.size.width - 50.0 && one.y >= 20.0 && one.y <= drawn.size.height - 20.0, "{:?}", drawn);
                for other in &drawn.nodes[..at] {
                    prop_assert!((one.x - other.x).abs() > 100.0 || (one.y - other.y).abs() > 40.0, "{:?}", drawn);
                }
            }
            for (points, &(from, to)) in drawn.edges.iter().zip(&edges) {
                if from == to || from >= count || to >= count {
                    prop_assert!(points.is_empty());
                } else {
                    prop_assert_eq!((points.first(), points.last()), (drawn.nodes.get(from), drawn.nodes.get(to)));
                }
            }
        }
    }
}
