//! The closed list of names that a pickle may refer to.

/// What messages say is supported.
pub(super) const SUPPORTED: &str = "Pipeline, StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler and OneClassSVM";

/// A class or function that a model's pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Class {
    Pipeline,
    StandardScaler,
    RobustScaler,
    MaxAbsScaler,
    MinMaxScaler,
    OneClassSvm,
    /// `numpy.ndarray`, only ever an argument.
    NdArray,
    /// `numpy.dtype(text, …)`.
    Dtype,
    /// `numpy…multiarray._reconstruct`: an empty array, filled by BUILD.
    Reconstruct,
    /// `numpy…multiarray.scalar(dtype, bytes)`.
    Scalar,
    /// `numpy…numeric._frombuffer(bytes, dtype, shape, order)`: arrays of protocol 5.
    FromBuffer,
    /// `_codecs.encode(text, "latin1")`: bytes of protocol 2.
    Encode,
    /// `bytes()`: no bytes, of protocol 2.
    Bytes,
    /// joblib's stand-in for an array, whose bytes follow in the stream.
    JoblibArray,
}

impl Class {
    /// The class of a qualified name.
    pub(super) fn lookup(module: &str, name: &str) -> Option<Self> {
        KNOWN.iter().find(|k| k.name == name && k.modules.contains(&module)).map(|k| k.class)
    }

    /// Whether NEWOBJ may make an instance, to be given its attributes by BUILD.
    pub(super) fn is_instance(self) -> bool {
        matches!(
            self,
            Self::Pipeline
                | Self::StandardScaler
                | Self::RobustScaler
                | Self::MaxAbsScaler
                | Self::MinMaxScaler
                | Self::OneClassSvm
                | Self::JoblibArray
        )
    }

    /// Its name in messages.
    pub(in crate::model) fn name(self) -> &'static str {
        KNOWN.iter().find(|k| k.class == self).map_or("a class", |k| k.name)
    }
}

/// A name on the list, and the modules that had it over the years.
struct Known {
    class: Class,
    name: &'static str,
    modules: &'static [&'static str],
}

const PREPROCESSING: &[&str] = &["sklearn.preprocessing._data", "sklearn.preprocessing.data", "sklearn.preprocessing"];
const NUMPY_CORE: &[&str] = &["numpy.core.multiarray", "numpy._core.multiarray"];

const fn known(class: Class, name: &'static str, modules: &'static [&'static str]) -> Known {
    Known { class, name, modules }
}

const KNOWN: &[Known] = &[
    known(Class::Pipeline, "Pipeline", &["sklearn.pipeline"]),
    known(Class::StandardScaler, "StandardScaler", PREPROCESSING),
    known(Class::RobustScaler, "RobustScaler", PREPROCESSING),
    known(Class::MaxAbsScaler, "MaxAbsScaler", PREPROCESSING),
    known(Class::MinMaxScaler, "MinMaxScaler", PREPROCESSING),
    known(Class::OneClassSvm, "OneClassSVM", &["sklearn.svm._classes", "sklearn.svm.classes", "sklearn.svm"]),
    known(Class::NdArray, "ndarray", &["numpy"]),
    known(Class::Dtype, "dtype", &["numpy"]),
    known(Class::Reconstruct, "_reconstruct", NUMPY_CORE),
    known(Class::Scalar, "scalar", NUMPY_CORE),
    known(Class::FromBuffer, "_frombuffer", &["numpy.core.numeric", "numpy._core.numeric"]),
    known(Class::Encode, "encode", &["_codecs"]),
    known(Class::Bytes, "bytes", &["__builtin__", "builtins"]),
    known(Class::JoblibArray, "NumpyArrayWrapper", &["joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle"]),
];
