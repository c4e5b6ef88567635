"""The Python side of the benchmark of training: fits a pipeline as a user would, and says how long the processor took.

Reads one JSON request a line, and answers with one JSON line each, until its input ends.
"""

import json
import sys
import time

import numpy
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

threadpool_limits(1)
for line in sys.stdin:
    request = json.loads(line)
    if "rows" in request:
        rows = numpy.fromfile(request["rows"]).reshape(-1, request["features"])
        model = make_pipeline(StandardScaler(), OneClassSVM(gamma="scale", nu=request["nu"]))
        started = time.process_time()
        model.fit(rows)
        answer = {"seconds": time.process_time() - started, "support": len(model[-1].support_)}
    else:
        answer = {"version": sklearn.__version__}
    print(json.dumps(answer), flush=True)
