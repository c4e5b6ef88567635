//! NEON, which every 64-bit ARM has.

use std::arch::aarch64::{
    float32x4_t, float64x2_t, vaddq_f32, vaddq_f64, vdupq_n_f32, vdupq_n_f64, vfmaq_f32, vfmaq_f64, vld1q_f32,
    vld1q_f64, vmaxq_f32, vmaxq_f64, vmulq_f32, vmulq_f64, vreinterpretq_f32_u32, vreinterpretq_f64_u64,
    vreinterpretq_u32_f32, vreinterpretq_u64_f64, vshlq_n_u32, vshlq_n_u64, vst1q_f32, vst1q_f64, vsubq_f32, vsubq_f64,
};

use super::lanes::{Instructions, Lanes, Task};

/// 128 bits.
#[derive(Clone, Copy)]
pub(super) struct Neon;

impl Instructions for Neon {
    fn run(self, task: impl Task) {
        task.run(self);
    }
}

macro_rules! lanes {
    ($number:ty, $vector:ty, $width:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $fma:ident, $max:ident, $shift:ident, $mantissa_bits:literal, $to_bits:ident, $from_bits:ident) => {
        // SAFETY, of every block below: the target has NEON, or this file would not be compiled; and load and store
        // check that the slice is long enough for the pointer they make of it.
        impl Lanes<$number> for Neon {
            type Vector = $vector;
            const WIDTH: usize = $width;

            #[inline(always)]
            fn splat(self, x: $number) -> Self::Vector {
                unsafe { $splat(x) }
            }

            #[inline(always)]
            fn load(self, from: &[$number]) -> Self::Vector {
                unsafe { $load(from[..$width].as_ptr()) }
            }

            #[inline(always)]
            fn store(self, vector: Self::Vector, to: &mut [$number]) {
                unsafe { $store(to[..$width].as_mut_ptr(), vector) }
            }

            #[inline(always)]
            fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                unsafe { $fma(c, a, b) }
            }

            #[inline(always)]
            fn at_least(self, x: Self::Vector, lowest: Self::Vector) -> Self::Vector {
                unsafe { $max(x, lowest) }
            }

            #[inline(always)]
            fn power(self, rounded: Self::Vector) -> Self::Vector {
                unsafe { $from_bits($shift::<$mantissa_bits>($to_bits(rounded))) }
            }
        }
    };
}

lanes!(
    f64,
    float64x2_t,
    2,
    vdupq_n_f64,
    vld1q_f64,
    vst1q_f64,
    vaddq_f64,
    vsubq_f64,
    vmulq_f64,
    vfmaq_f64,
    vmaxq_f64,
    vshlq_n_u64,
    52,
    vreinterpretq_u64_f64,
    vreinterpretq_f64_u64
);
lanes!(
    f32,
    float32x4_t,
    4,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    vsubq_f32,
    vmulq_f32,
    vfmaq_f32,
    vmaxq_f32,
    vshlq_n_u32,
    23,
    vreinterpretq_u32_f32,
    vreinterpretq_f32_u32
);
