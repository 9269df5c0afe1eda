//! Leave for aya to read and write the shared structures as bytes.

use crate::{awaits, foreign, frame, gate, hits, outside, record, scope, site, states, task, thread, totals, unwind};

macro_rules! pod {
    ($($path:path),* $(,)?) => { $(
        // SAFETY: `repr(C)`, made of integers and arrays of them only, every byte a field's: any bytes are a value.
        unsafe impl aya::Pod for $path {}
    )* };
}

pod!(
    foreign::ForeignSlots,
    foreign::ForeignLook,
    foreign::ForeignRecord,
    frame::FrameStack,
    gate::Gate,
    hits::SiteHits,
    outside::OutsideSum,
    record::StackRecord,
    record::BackRecord,
    record::PollRecord,
    record::WakeRecord,
    record::BeginRecord,
    record::SpawnedRecord,
    record::AwaitRecord,
    record::RequestRecord,
    record::ChildRecord,
    scope::ScopeRow,
    scope::ScopeSlot,
    site::TypeRow,
    states::States,
    task::TaskRow,
    thread::ThreadRow,
    thread::ThreadPlaces,
    totals::TypeTotals,
    awaits::Node,
    awaits::RequestKey,
    awaits::Edge,
    awaits::AwaitStack,
    awaits::AwaitKey,
    awaits::AwaitSum,
    awaits::AwaitWalks,
    unwind::Walks,
    unwind::Rule,
    unwind::RegionTable,
    unwind::Chunk,
);
