"""The Python side of the benchmark of decision scores: fits a model, then times one way to score at a time.

Reads one JSON request a line, and answers with one JSON line each, until its input ends.
"""

import json
import sys
import time

import numpy
import onnxruntime
import skl2onnx
import sklearn
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits


class Case:
    """A fitted model, rows to score, and what each way prepares once."""

    def __init__(self, points, features, nu, pairs, folder):
        random = numpy.random.default_rng(points + features)
        self.model = OneClassSVM(kernel="rbf", gamma="scale", nu=nu).fit(random.normal(size=(points, features)))
        support = self.model.support_vectors_
        self.rows = random.normal(size=(max(pairs // len(support), 64), features))
        self.rows32 = self.rows.astype(numpy.float32)

        gamma, coefficients = self.model._gamma, self.model.dual_coef_[0]
        self.intercept = self.model.intercept_[0]
        # exp(c + w·x + c_x) with everything in one product: [x, c_x, 1] · [w, 1, c]
        center = support.mean(axis=0)
        moved = support - center
        constants = numpy.log(coefficients) - gamma * (moved**2).sum(axis=1)
        self.weights = numpy.vstack([2 * gamma * moved.T, numpy.ones(len(support)), constants])
        self.center, self.gamma = center, gamma
        self.buffer = numpy.empty(8192 * len(support))
        self.out = numpy.empty(len(self.rows))

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            skl2onnx.to_onnx(self.model, self.rows32[:1]).SerializeToString(), options, ["CPUExecutionProvider"]
        )
        for name, array in [("support", support), ("coefficients", coefficients), ("rows", self.rows)]:
            numpy.ascontiguousarray(array).tofile(f"{folder}/{name}.f64")

    def sklearn(self):
        return self.model.decision_function(self.rows)

    def numpy(self, block):
        count = self.weights.shape[1]
        for first in range(0, len(self.rows), block):
            moved = self.rows[first : first + block] - self.center
            squares = -self.gamma * numpy.einsum("ij,ij->i", moved, moved)
            inputs = numpy.column_stack([moved, squares, numpy.ones(len(moved))])
            values = self.buffer[: len(moved) * count].reshape(len(moved), count)
            numpy.matmul(inputs, self.weights, out=values)
            numpy.exp(values, out=values)
            numpy.sum(values, axis=1, out=self.out[first : first + block])
        self.out += self.intercept
        return self.out

    def onnx(self):
        return self.session.run(None, {self.session.get_inputs()[0].name: self.rows32})


def answer(request, case):
    if "fit" in request:
        case = Case(**request["fit"])
        model = case.model
        return case, {
            "gamma": float(model._gamma),
            "intercept": float(model.intercept_[0]),
            "support": len(model.support_vectors_),
            "rows": len(case.rows),
        }
    if "run" in request:
        way, arguments, threads = getattr(case, request["run"]), request.get("with", {}), request.get("threads", 1)
        with threadpool_limits(threads):
            # Processor time: what other programs take on a busy machine is not held against Python.
            began, used = time.perf_counter(), time.process_time()
            way(**arguments)
            return case, {"seconds": time.process_time() - used, "elapsed": time.perf_counter() - began}
    modules = [numpy, onnxruntime, skl2onnx, sklearn]
    return case, {"versions": ", ".join(f"{m.__name__} {m.__version__}" for m in modules)}


def main():
    case = None
    for line in sys.stdin:
        case, result = answer(json.loads(line), case)
        print(json.dumps(result), flush=True)


main()
