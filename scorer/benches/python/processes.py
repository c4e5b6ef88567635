"""Runs programs and says what each took: elapsed seconds, processor seconds, and the most memory.

Reads one JSON request a line, and answers with one JSON line each, until its input ends. It imports nothing large: the
memory of a program that starts another one counts for both.
"""

import json
import os
import sys
import time

for line in sys.stdin:
    command = json.loads(line)["run"]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    began = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    answer = {
        "seconds": time.perf_counter() - began,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "kilobytes": used.ru_maxrss,
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(answer), flush=True)
