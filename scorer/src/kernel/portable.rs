//! The instruction set that every processor has, and the reference for the others. Without fused multiply-add in
//! hardware it is slow, but the same.

use super::lanes::{Instructions, Lanes, Number, Task};

#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Instructions for Portable {
    fn run(self, task: impl Task) {
        task.run(self);
    }
}

const WIDTH: usize = 4;

macro_rules! lanes {
    ($number:ty, $mantissa_bits:literal) => {
        impl Lanes<$number> for Portable {
            type Vector = [$number; WIDTH];
            const WIDTH: usize = WIDTH;

            #[inline(always)]
            fn splat(self, x: $number) -> Self::Vector {
                [x; WIDTH]
            }

            #[inline(always)]
            fn load(self, from: &[$number]) -> Self::Vector {
                let mut vector = [<$number>::ZERO; WIDTH];
                vector.copy_from_slice(&from[..WIDTH]);
                vector
            }

            #[inline(always)]
            fn store(self, vector: Self::Vector, to: &mut [$number]) {
                to[..WIDTH].copy_from_slice(&vector);
            }

            #[inline(always)]
            fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                std::array::from_fn(|i| a[i] + b[i])
            }

            #[inline(always)]
            fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                std::array::from_fn(|i| a[i] - b[i])
            }

            #[inline(always)]
            fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                std::array::from_fn(|i| a[i] * b[i])
            }

            #[inline(always)]
            fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
            }

            #[inline(always)]
            fn at_least(self, x: Self::Vector, lowest: Self::Vector) -> Self::Vector {
                std::array::from_fn(|i| if lowest[i] > x[i] { lowest[i] } else { x[i] })
            }

            #[inline(always)]
            fn power(self, rounded: Self::Vector) -> Self::Vector {
                rounded.map(|x| <$number>::from_bits(x.to_bits() << $mantissa_bits))
            }
        }
    };
}

lanes!(f64, 52);
lanes!(f32, 23);
