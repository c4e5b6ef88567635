//! `PolynomialFeatures`, which skl2onnx writes as one product after the other.

use crate::model::PolynomialFeatures;

/// The PolynomialFeatures that give these products of features, in this order; the product of none is 1.
pub(super) fn recognise(n_features: usize, products: &[&[usize]]) -> Option<PolynomialFeatures> {
    let include_bias = products.first()?.is_empty();
    let products = &products[usize::from(include_bias)..];
    let (min, max) = (products.first()?.len(), products.last()?.len());
    let interaction_only = max > 1 && !products.iter().any(|p| p.windows(2).any(|pair| pair[0] == pair[1]));
    let mut expected = first(min, interaction_only);
    for product in products {
        if expected != **product || product.last().is_none_or(|last| *last >= n_features) {
            return None;
        }
        if !advance(&mut expected, n_features, interaction_only) {
            expected = first(product.len() + 1, interaction_only);
        }
    }
    // All products of so many factors are there.
    (expected.len() == max + 1).then_some(PolynomialFeatures {
        n_features,
        min_degree: u32::try_from(min).ok()?,
        max_degree: u32::try_from(max).ok()?,
        interaction_only,
        include_bias,
    })
}

/// The first product of so many factors.
fn first(degree: usize, interaction_only: bool) -> Vec<usize> {
    if interaction_only { (0..degree).collect() } else { vec![0; degree] }
}

/// Makes a product the next one of as many factors; gives whether there is one.
fn advance(product: &mut [usize], n_features: usize, interaction_only: bool) -> bool {
    let step = usize::from(interaction_only);
    let count = product.len();
    let Some(at) = (0..count).rev().find(|i| product[*i] + 1 + step * (count - 1 - i) < n_features) else {
        return false;
    };
    let next = product[at] + 1;
    for (behind, factor) in product[at..].iter_mut().enumerate() {
        *factor = next + step * behind;
    }
    true
}
