"""The Python side of the benchmark of CSV: writes a file, then reads it, and says how long the processor took.

Reads one JSON request a line, and answers with one JSON line each, until its input ends.
"""

import json
import sys
import time

import numpy
import pandas

for line in sys.stdin:
    request = json.loads(line)
    if "write" in request:
        random = numpy.random.default_rng(1)
        values = random.normal(20, 5, size=(request["rows"], request["columns"]))
        frame = pandas.DataFrame(values, columns=[f"f{i}" for i in range(request["columns"])])
        frame.to_csv(request["write"], index=False, float_format=request["digits"])
        answer = {"version": pandas.__version__}
    else:
        elapsed, used = time.perf_counter(), time.process_time()
        frame = pandas.read_csv(request["read"], engine="c")
        answer = {"seconds": time.process_time() - used, "elapsed": time.perf_counter() - elapsed}
        answer["sum"] = float(frame.to_numpy().sum())
    print(json.dumps(answer), flush=True)
