//! The closed list of names that a pickle may refer to.

/// What messages say is supported.
pub(super) const SUPPORTED: &str =
    "sklearn.pipeline.Pipeline, sklearn.preprocessing.StandardScaler and sklearn.svm.OneClassSVM";

/// A class or function that a model's pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Class {
    Pipeline,
    StandardScaler,
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
    /// The class of a qualified name; several modules, since libraries moved them over the years.
    pub(super) fn lookup(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("sklearn.pipeline", "Pipeline") => Self::Pipeline,
            (
                "sklearn.preprocessing._data" | "sklearn.preprocessing.data" | "sklearn.preprocessing",
                "StandardScaler",
            ) => Self::StandardScaler,
            ("sklearn.svm._classes" | "sklearn.svm.classes" | "sklearn.svm", "OneClassSVM") => Self::OneClassSvm,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::Dtype,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Self::Reconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("_codecs", "encode") => Self::Encode,
            ("__builtin__" | "builtins", "bytes") => Self::Bytes,
            ("joblib.numpy_pickle" | "sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper") => Self::JoblibArray,
            _ => return None,
        })
    }

    /// Whether NEWOBJ may make an instance, to be given its attributes by BUILD.
    pub(super) fn is_instance(self) -> bool {
        matches!(self, Self::Pipeline | Self::StandardScaler | Self::OneClassSvm | Self::JoblibArray)
    }

    /// Its name in messages.
    pub(in crate::model) fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "sklearn.pipeline.Pipeline",
            Self::StandardScaler => "sklearn.preprocessing.StandardScaler",
            Self::OneClassSvm => "sklearn.svm.OneClassSVM",
            Self::NdArray => "numpy.ndarray",
            Self::Dtype => "numpy.dtype",
            Self::Reconstruct => "numpy.core.multiarray._reconstruct",
            Self::Scalar => "numpy.core.multiarray.scalar",
            Self::FromBuffer => "numpy.core.numeric._frombuffer",
            Self::Encode => "_codecs.encode",
            Self::Bytes => "bytes",
            Self::JoblibArray => "joblib.numpy_pickle.NumpyArrayWrapper",
        }
    }
}
