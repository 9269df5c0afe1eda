//! What requests are folded into, and which are kept.

use super::*;

fn row(id: &str, running_ns: u64) -> ScopeRow {
    let mut row = ScopeRow { id_len: u32::try_from(id.len()).unwrap(), polls: 2, longest_poll_ns: running_ns, ..ScopeRow::NEW };
    row.id[..id.len()].copy_from_slice(id.as_bytes());
    row.states.running_ns = running_ns;
    row
}

#[test]
fn quantiles_and_the_worst_of_each_route() {
    let mut routes = Routes::default();
    for nth in 1..=1000 {
        routes.end(nth, &row(&format!("order-{nth}"), nth * 1000));
    }
    routes.end(2000, &row("job", 5));
    let [orders, jobs] = &routes.told()[..] else { panic!("two routes: {:?}", routes.told()) };
    assert_eq!((orders.name.as_slice(), orders.count, orders.worst_ns, orders.worst), (&b"order-*"[..], 1000, 1_000_000, 1000));
    assert!((495_000..=510_000).contains(&orders.p50_ns) && (980_000..=1_000_000).contains(&orders.p99_ns), "{orders:?}");
    assert_eq!((orders.states.running_ns, orders.polls, orders.longest_poll_ns), (500_500_000, 2000, 1_000_000));
    assert_eq!((jobs.name.as_slice(), jobs.count, jobs.p50_ns, jobs.p99_ns), (&b"job"[..], 1, 5, 5));
}

#[test]
fn the_slowest_and_the_worst_of_each_route_are_kept_whole() {
    let mut routes = Routes::default();
    for nth in 1..=500 {
        routes.end(nth, &row("a", nth));
    }
    routes.end(501, &row("b", 1));
    let kept: Vec<u64> = routes.kept().iter().map(|(scope, _)| *scope).collect();
    assert_eq!(kept, (401..=501).collect::<Vec<_>>());
    assert!(routes.kept().iter().all(|(scope, row)| row.states.running_ns == *scope || *scope == 501));
}

#[test]
fn prefixes_that_were_asked_for_are_routes_the_longest_first() {
    let mut routes = Routes::by(vec![b"o".to_vec(), b"order-4".to_vec()]);
    for (scope, id) in [(1, "order-42"), (2, "order-4"), (3, "order-5"), (4, "x-5")] {
        routes.end(scope, &row(id, scope));
    }
    let mut names: Vec<(Vec<u8>, u64)> = routes.told().into_iter().map(|route| (route.name, route.count)).collect();
    names.sort();
    assert_eq!(names, [(b"o*".to_vec(), 1), (b"order-4*".to_vec(), 2), (b"x-*".to_vec(), 1)]);
}

#[test]
fn more_routes_than_are_told_apart_are_the_rest() {
    let mut routes = Routes::default();
    let letters = |nth: usize| nth.to_string().bytes().map(|digit| char::from(digit + 49)).collect::<String>();
    for nth in 0..MAX_ROUTES + 10 {
        routes.end(nth as u64, &row(&letters(nth), 1));
    }
    let told = routes.told();
    assert_eq!(told.len(), MAX_ROUTES + 1);
    assert_eq!(told.iter().filter(|route| route.rest).map(|route| route.count).collect::<Vec<_>>(), [10]);
    assert_eq!(told.iter().map(|route| route.count).sum::<u64>(), MAX_ROUTES as u64 + 10);
}
