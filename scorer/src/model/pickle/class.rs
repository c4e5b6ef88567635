//! The closed list of names that a pickle may refer to.

/// What messages say is supported.
pub(in crate::model) const SUPPORTED: &str = "Pipeline, ColumnTransformer, StandardScaler, MinMaxScaler, RobustScaler, \
     MaxAbsScaler, SimpleImputer, PolynomialFeatures, PCA, OneClassSVM, IsolationForest, EllipticEnvelope, \
     LocalOutlierFactor and SGDOneClassSVM";

/// A class or function that a model's pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Class {
    Pipeline,
    StandardScaler,
    RobustScaler,
    MaxAbsScaler,
    MinMaxScaler,
    SimpleImputer,
    PolynomialFeatures,
    Pca,
    ColumnTransformer,
    /// Changes nothing where it has no function of its own: what `"passthrough"` becomes.
    FunctionTransformer,
    /// The columns that no transformer of a ColumnTransformer names.
    RemainderColumns,
    OneClassSvm,
    IsolationForest,
    ExtraTreeRegressor,
    /// A tree's nodes, made by Cython.
    Tree,
    EllipticEnvelope,
    LocalOutlierFactor,
    /// Search trees, made by Cython.
    KdTree,
    BallTree,
    /// `newObj(class)`: how Cython's classes come out of a pickle.
    NewObj,
    SgdOneClassSvm,
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
    /// `slice(start, stop, step)`.
    Slice,
    /// Random states, distance metrics, loss functions and types that fitted objects keep: no score depends on them.
    Ignored,
    /// joblib's stand-in for an array, whose bytes follow in the stream.
    JoblibArray,
}

impl Class {
    /// The class of a qualified name.
    pub(in crate::model) fn lookup(module: &str, name: &str) -> Option<Self> {
        KNOWN.iter().find(|k| k.name == name && k.modules.contains(&module)).map(|k| k.class)
    }

    /// Whether NEWOBJ may make an instance, to be given its attributes by BUILD.
    pub(in crate::model) fn is_instance(self) -> bool {
        matches!(
            self,
            Self::Pipeline
                | Self::StandardScaler
                | Self::RobustScaler
                | Self::MaxAbsScaler
                | Self::MinMaxScaler
                | Self::SimpleImputer
                | Self::PolynomialFeatures
                | Self::Pca
                | Self::ColumnTransformer
                | Self::FunctionTransformer
                | Self::RemainderColumns
                | Self::OneClassSvm
                | Self::IsolationForest
                | Self::ExtraTreeRegressor
                | Self::EllipticEnvelope
                | Self::LocalOutlierFactor
                | Self::SgdOneClassSvm
                | Self::JoblibArray
        )
    }

    /// Its name in messages.
    pub(in crate::model) fn name(self) -> &'static str {
        if self == Self::Ignored {
            return "an object that is not looked into";
        }
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
    known(Class::SimpleImputer, "SimpleImputer", &["sklearn.impute._base", "sklearn.impute"]),
    known(
        Class::PolynomialFeatures,
        "PolynomialFeatures",
        &["sklearn.preprocessing._polynomial", "sklearn.preprocessing._data", "sklearn.preprocessing.data"],
    ),
    known(Class::Pca, "PCA", &["sklearn.decomposition._pca", "sklearn.decomposition.pca"]),
    known(Class::ColumnTransformer, "ColumnTransformer", &["sklearn.compose._column_transformer"]),
    known(Class::RemainderColumns, "_RemainderColsList", &["sklearn.compose._column_transformer"]),
    known(Class::FunctionTransformer, "FunctionTransformer", &["sklearn.preprocessing._function_transformer"]),
    known(Class::IsolationForest, "IsolationForest", &["sklearn.ensemble._iforest", "sklearn.ensemble.iforest"]),
    known(Class::ExtraTreeRegressor, "ExtraTreeRegressor", &["sklearn.tree._classes", "sklearn.tree.tree"]),
    known(Class::Tree, "Tree", &["sklearn.tree._tree"]),
    known(
        Class::EllipticEnvelope,
        "EllipticEnvelope",
        &[
            "sklearn.covariance._elliptic_envelope",
            "sklearn.covariance.elliptic_envelope",
            "sklearn.covariance.outlier_detection",
        ],
    ),
    known(Class::LocalOutlierFactor, "LocalOutlierFactor", &["sklearn.neighbors._lof", "sklearn.neighbors.lof"]),
    known(Class::SgdOneClassSvm, "SGDOneClassSVM", &["sklearn.linear_model._stochastic_gradient"]),
    known(Class::OneClassSvm, "OneClassSVM", &["sklearn.svm._classes", "sklearn.svm.classes", "sklearn.svm"]),
    known(Class::NdArray, "ndarray", &["numpy"]),
    known(Class::Dtype, "dtype", &["numpy"]),
    known(Class::Reconstruct, "_reconstruct", NUMPY_CORE),
    known(Class::Scalar, "scalar", NUMPY_CORE),
    known(Class::FromBuffer, "_frombuffer", &["numpy.core.numeric", "numpy._core.numeric"]),
    known(Class::Encode, "encode", &["_codecs"]),
    known(Class::Bytes, "bytes", &["__builtin__", "builtins"]),
    known(Class::Slice, "slice", &["__builtin__", "builtins"]),
    known(Class::JoblibArray, "NumpyArrayWrapper", &["joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle"]),
    // Random states.
    known(Class::Ignored, "__randomstate_ctor", &["numpy.random._pickle", "numpy.random"]),
    known(Class::Ignored, "__RandomState_ctor", &["numpy.random"]),
    known(Class::Ignored, "__bit_generator_ctor", &["numpy.random._pickle"]),
    known(Class::Ignored, "__generator_ctor", &["numpy.random._pickle"]),
    known(Class::Ignored, "MT19937", &["numpy.random._mt19937"]),
    known(Class::Ignored, "PCG64", &["numpy.random._pcg64"]),
    known(Class::NewObj, "newObj", SEARCH),
    known(Class::KdTree, "KDTree", SEARCH),
    known(Class::KdTree, "KDTree64", SEARCH),
    known(Class::BallTree, "BallTree", SEARCH),
    known(Class::BallTree, "BallTree64", SEARCH),
    // What search trees measure with; which it is stands in the estimator.
    known(Class::Ignored, "EuclideanDistance", SEARCH),
    known(Class::Ignored, "EuclideanDistance64", SEARCH),
    known(Class::Ignored, "ManhattanDistance", SEARCH),
    known(Class::Ignored, "ManhattanDistance64", SEARCH),
    known(Class::Ignored, "ChebyshevDistance", SEARCH),
    known(Class::Ignored, "ChebyshevDistance64", SEARCH),
    known(Class::Ignored, "MinkowskiDistance", SEARCH),
    known(Class::Ignored, "MinkowskiDistance64", SEARCH),
    // Loss functions.
    known(Class::Ignored, "Hinge", &["sklearn.linear_model._sgd_fast"]),
    // How a ColumnTransformer was told its columns; what they are stands in `transformers_`.
    known(Class::Ignored, "make_column_selector", &["sklearn.compose._column_transformer"]),
    known(Class::Ignored, "Bunch", &["sklearn.utils._bunch", "sklearn.utils"]),
    // Types.
    known(Class::Ignored, "number", &["numpy"]),
    known(Class::Ignored, "float64", &["numpy"]),
    known(Class::Ignored, "float32", &["numpy"]),
    known(Class::Ignored, "int64", &["numpy"]),
    known(Class::Ignored, "object_", &["numpy"]),
    known(Class::Ignored, "object", &["__builtin__", "builtins"]),
];

const SEARCH: &[&str] = &[
    "sklearn.neighbors._kd_tree",
    "sklearn.neighbors.kd_tree",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors.ball_tree",
    "sklearn.metrics._dist_metrics",
    "sklearn.neighbors._dist_metrics",
    "sklearn.neighbors.dist_metrics",
];
