use proptest::prelude::*;

use super::plain::PlainBins;
use super::*;

const NAMES: [&str; 5] = ["cpu", "memory", "pods", "ephemeral-storage", "nvidia.com/gpu"];

/// Amounts, some of them none, of some resources.
fn resources(most: u32) -> impl Strategy<Value = Resources> {
    let amount = proptest::option::weighted(0.7, 0..=most);
    proptest::collection::vec(amount, NAMES.len()).prop_map(|amounts| {
        let texts = amounts.iter().zip(NAMES).filter_map(|(amount, name)| Some((name, format!("{}", (*amount)?))));
        let texts: Vec<_> = texts.collect();
        Resources::parse(texts.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
    })
}

fn node(cpu: u32, memory: u32) -> Resources {
    let (cpu, memory) = (cpu.to_string(), memory.to_string());
    Resources::parse([("cpu", cpu.as_str()), ("memory", memory.as_str())]).unwrap()
}

#[test]
fn a_pod_goes_onto_the_first_node_that_has_all_it_asks_for() {
    let free = [&node(9, 1), &node(1, 9), &node(3, 3), &node(9, 9)];
    let (both, little) = (node(2, 2), node(1, 1));
    let mut bins = Bins::new(&node(4, 4), &free, 5, [&both, &little]);
    let mut took = Vec::new();
    assert_eq!(bins.place(0, 2, |node| took.push(node)), 2);
    assert_eq!(bins.place(1, 3, |node| took.push(node)), 3);
    assert_eq!(took, [2, 3, 0, 1, 2]);
}

#[test]
fn nodes_are_opened_one_after_another_up_to_the_most() {
    let (large, larger) = (node(3, 1), node(5, 1));
    let mut bins = Bins::new(&node(4, 4), &[], 3, [&large, &larger]);
    assert!(bins.is_empty());
    assert_eq!((bins.place(0, 2, drop), bins.len()), (2, 2));
    assert_eq!((bins.place(1, 1, drop), bins.len()), (0, 2));
    assert_eq!((bins.place(0, 9, drop), bins.len()), (1, 3));
    assert_eq!(bins.place(7, 1, drop), 0, "a request that was not announced finds no room");
}

#[test]
fn amounts_that_do_not_fit_into_64_bits_are_told_apart() {
    let have = |amount| Resources::parse([("example.com/bytes", amount)]).unwrap();
    let (some, more) = (have("20E"), have("30E"));
    let mut bins = Bins::new(&have("1E"), &[&have("79E"), &have("100E")], 2, [&some, &more]);
    assert_eq!(bins.place(1, 9, drop), 5);
    assert_eq!(bins.place(0, 9, drop), 0);
    let mut bins = Bins::new(&have("1E"), &[&have("79E"), &have("100E")], 2, [&some, &more]);
    assert_eq!((bins.place(1, 2, drop), bins.place(0, 9, drop)), (2, 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_pod_goes_where_plain_first_fit_puts_it(
        empty in resources(12),
        free in proptest::collection::vec(resources(12), 0..20),
        more in 0usize..20,
        requests in proptest::collection::vec(resources(5), 1..6),
        turns in proptest::collection::vec((0usize..6, 0u32..12), 1..40),
    ) {
        let most = free.len() + more;
        let mut bins = Bins::new(&empty, &free.iter().collect::<Vec<_>>(), most, &requests);
        let mut plain = PlainBins::new(empty, free, most);
        for (which, pods) in turns {
            let which = which % requests.len();
            let mut took = Vec::new();
            let placed = bins.place(which, pods, |node| took.push(node));
            let mut plainly: Vec<usize> = (0..pods).map_while(|_| plain.place_one(&requests[which])).collect();
            prop_assert_eq!(placed as usize, plainly.len());
            plainly.dedup();
            prop_assert_eq!(took, plainly);
            prop_assert_eq!(bins.len(), plain.len());
        }
    }
}
