//! Trees that came to harm: each is refused, or finds what the whole one does.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::estimator::Estimator;
use crate::model::{Algorithm, Bounds, LocalOutlierFactor, Metadata, Metric, Model, SearchTree};

const POINTS: usize = 40;
const FEATURES: usize = 2;
/// Three levels.
const NODES: usize = 7;

/// Numbers from -1 to 1 of which no two are alike.
fn numbers(count: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|i| ((i as f64 + seed) * 12.989_8).sin()).collect()
}

/// A tree over points that are divided at the middle of the first feature.
fn factor(balls: bool, metric: Metric) -> LocalOutlierFactor {
    let points = numbers(POINTS * FEATURES, 1.0);
    let mut order: Vec<u32> = (0..POINTS as u32).collect();
    order.sort_by(|a, b| points[*a as usize * FEATURES].total_cmp(&points[*b as usize * FEATURES]));
    let (mut start, mut end) = (vec![0_u32], vec![POINTS as u32]);
    for node in 0..NODES / 2 {
        let (from, to) = (start[node], end[node]);
        start.extend([from, from.midpoint(to)]);
        end.extend([from.midpoint(to), to]);
    }
    let of = |node: usize, feature: usize| {
        let points = &points;
        order[start[node] as usize..end[node] as usize].iter().map(move |at| points[*at as usize * FEATURES + feature])
    };
    let each = |number: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..NODES)
            .flat_map(|node| (0..FEATURES).map(move |feature| (node, feature)))
            .map(|(n, f)| number(n, f))
            .collect()
    };
    let bounds = if balls {
        let centre = each(&|node, feature| of(node, feature).sum::<f64>() / f64::from(end[node] - start[node]));
        let radius = |node: usize| {
            let own = &centre[node * FEATURES..][..FEATURES];
            let far = of(node, 0).zip(of(node, 1)).map(|(x, y)| metric.distance(metric.reduced(own, &[x, y])));
            far.fold(0.0, f64::max)
        };
        Bounds::Balls { radius: (0..NODES).map(radius).collect(), centre }
    } else {
        let low = each(&|node, feature| of(node, feature).fold(f64::INFINITY, f64::min));
        let high = each(&|node, feature| of(node, feature).fold(f64::NEG_INFINITY, f64::max));
        Bounds::Boxes { low, high }
    };
    let leaf = (0..NODES).map(|node| node >= NODES / 2).collect();
    let algorithm = Algorithm::Tree(SearchTree { order, start, end, leaf, bounds });
    let (reach, density) = (vec![0.1; POINTS], vec![2.0; POINTS]);
    LocalOutlierFactor { n_features: FEATURES, points, reach, density, n_neighbors: 4, metric, offset: -1.5, algorithm }
}

fn model(factor: LocalOutlierFactor) -> Result<Model, String> {
    Model::new(Vec::new(), Estimator::LocalOutlierFactor(factor), Metadata::default())
}

fn tree(factor: &mut LocalOutlierFactor) -> &mut SearchTree {
    match &mut factor.algorithm {
        Algorithm::Tree(tree) => tree,
        other => panic!("{other:?}"),
    }
}

/// What may happen to a list.
#[derive(Clone, Debug)]
enum Harm<T> {
    Set(Index, T),
    Swap(Index, Index),
    Add(T),
    Drop(Index),
    Empty,
}

impl<T: Clone> Harm<T> {
    fn to(&self, list: &mut Vec<T>) {
        let count = list.len();
        match self {
            Self::Set(at, value) => list[at.index(count)] = value.clone(),
            Self::Swap(a, b) => list.swap(a.index(count), b.index(count)),
            Self::Add(value) => list.push(value.clone()),
            Self::Drop(at) => drop(list.remove(at.index(count))),
            Self::Empty => list.clear(),
        }
    }
}

fn harm<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Harm<T>> {
    prop_oneof![
        6 => (any::<Index>(), value.clone()).prop_map(|(at, value)| Harm::Set(at, value)),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Harm::Swap(a, b)),
        1 => value.prop_map(Harm::Add),
        1 => any::<Index>().prop_map(Harm::Drop),
        1 => Just(Harm::Empty),
    ]
}

/// What may happen to a tree, part by part.
#[derive(Clone, Debug)]
enum Part {
    Order(Harm<u32>),
    Start(Harm<u32>),
    End(Harm<u32>),
    Leaf(Harm<bool>),
    /// The low edges, or the centres.
    First(Harm<f64>),
    /// The high edges, or the radii.
    Second(Harm<f64>),
    /// Boxes for balls, or the other way round.
    Kind,
}

fn part() -> impl Strategy<Value = Part> {
    let place = || prop_oneof![4 => 0..POINTS as u32 + 2, 1 => any::<u32>()];
    let number = || prop_oneof![4 => -1.5..1.5_f64, 2 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    prop_oneof![
        harm(place()).prop_map(Part::Order),
        harm(place()).prop_map(Part::Start),
        harm(place()).prop_map(Part::End),
        harm(any::<bool>()).prop_map(Part::Leaf),
        harm(number()).prop_map(Part::First),
        harm(number()).prop_map(Part::Second),
        Just(Part::Kind),
    ]
}

fn damage(tree: &mut SearchTree, part: &Part) {
    match (part, &mut tree.bounds) {
        (Part::Order(harm), _) => harm.to(&mut tree.order),
        (Part::Start(harm), _) => harm.to(&mut tree.start),
        (Part::End(harm), _) => harm.to(&mut tree.end),
        (Part::Leaf(harm), _) => harm.to(&mut tree.leaf),
        (Part::First(harm), Bounds::Boxes { low: list, .. } | Bounds::Balls { centre: list, .. }) => harm.to(list),
        (Part::Second(harm), Bounds::Boxes { high: list, .. } | Bounds::Balls { radius: list, .. }) => harm.to(list),
        (Part::Kind, bounds) => {
            *bounds = match std::mem::replace(bounds, Bounds::Balls { centre: Vec::new(), radius: Vec::new() }) {
                Bounds::Boxes { low, high } => Bounds::Balls { centre: low, radius: high[..NODES].to_vec() },
                Bounds::Balls { centre, .. } => Bounds::Boxes { high: centre.clone(), low: centre },
            }
        }
    }
}

fn metrics() -> impl Strategy<Value = Metric> {
    prop_oneof![
        Just(Metric::Euclidean),
        Just(Metric::Manhattan),
        Just(Metric::Chebyshev),
        Just(Metric::Minkowski { p: 3.0 })
    ]
}

#[test]
fn a_whole_tree_finds_what_looking_at_every_point_does() {
    let rows = numbers(200, 77.0);
    for balls in [false, true] {
        for metric in [Metric::Euclidean, Metric::Manhattan, Metric::Chebyshev, Metric::Minkowski { p: 3.0 }] {
            let with_tree = factor(balls, metric);
            let without = LocalOutlierFactor { algorithm: Algorithm::Brute, ..with_tree.clone() };
            assert_eq!(model(with_tree).unwrap().decisions(&rows), model(without).unwrap().decisions(&rows));
        }
    }
}

type Damage<'a> = &'a dyn Fn(&mut SearchTree);

#[test]
fn damage_of_every_kind_is_refused() {
    let set = |list: &mut Vec<u32>, at: usize, value: u32| list[at] = value;
    let kinds: [(&str, Damage); 9] = [
        ("a point out of range", &|tree| set(&mut tree.order, 3, POINTS as u32)),
        ("a point twice", &|tree| tree.order[3] = tree.order[4]),
        ("a node that holds what the one above does", &|tree| {
            (tree.start[1], tree.end[1]) = (0, POINTS as u32);
        }),
        ("a node that ends before it begins", &|tree| tree.start.swap(3, 4)),
        ("a node out of range", &|tree| set(&mut tree.end, 6, u32::MAX)),
        ("a last node that is no leaf", &|tree| tree.leaf[6] = false),
        ("a node too few", &|tree| {
            tree.leaf.pop();
        }),
        ("no node", &|tree| {
            (tree.start, tree.end, tree.leaf) = (Vec::new(), Vec::new(), Vec::new());
        }),
        ("a bound that is NaN", &|tree| match &mut tree.bounds {
            Bounds::Boxes { low, .. } => low[5] = f64::NAN,
            Bounds::Balls { radius, .. } => radius[5] = f64::NAN,
        }),
    ];
    for balls in [false, true] {
        for (what, damage) in kinds {
            let mut factor = factor(balls, Metric::Euclidean);
            damage(tree(&mut factor));
            let why = model(factor).expect_err(what);
            assert!(why.starts_with("the search tree "), "{what}: {why}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_damaged_tree_is_refused_or_finds_what_the_whole_one_does(
        balls: bool, metric in metrics(), parts in proptest::collection::vec(part(), 1..3)
    ) {
        let whole = factor(balls, metric);
        let mut harmed = whole.clone();
        for part in &parts {
            // What an earlier harm has emptied cannot be harmed again.
            let lists = { let tree = tree(&mut harmed); [tree.order.len(), tree.start.len(), tree.end.len(), tree.leaf.len()] };
            let bounds = match &tree(&mut harmed).bounds {
                Bounds::Boxes { low, high } => [low.len(), high.len()],
                Bounds::Balls { centre, radius } => [centre.len(), radius.len()],
            };
            if lists.iter().chain(&bounds).all(|len| *len >= NODES) {
                damage(tree(&mut harmed), part);
            }
        }
        if let Ok(harmed) = model(harmed) {
            let rows = numbers(40, 77.0);
            let pairs = harmed.decisions(&rows).into_iter().zip(model(whole).unwrap().decisions(&rows));
            for (found, right) in pairs {
                prop_assert!((found - right).abs() <= 1e-12, "{found} for {right}");
            }
        }
    }
}
