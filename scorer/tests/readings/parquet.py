"""Writes the Parquet files beside it, as the programs that people use write them.

python3 -m venv parquet && parquet/bin/pip install pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.0 polars==2.1.0 fastparquet==2026.9.0
parquet/bin/python scorer/tests/readings/parquet.py
"""

import datetime as dt
import decimal
import math
import pathlib
import uuid

import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
START = dt.datetime(2018, 8, 28, 23, 0, 0)
ROWS = 120


def readings():
    """Two sensors in turn, every five seconds; every 17th value is missing."""
    times = [START + dt.timedelta(seconds=5 * (i // 2), milliseconds=250 * (i % 4)) for i in range(ROWS)]
    values = [None if i % 17 == 16 else round(20 + math.sin(i / 7) + i / 1000, 4) for i in range(ROWS)]
    return {"TS": times, "Device": ["1"] * ROWS, "Tag": [i % 2 + 1 for i in range(ROWS)], "Value": values}


def write_csv():
    columns = readings()
    with open(HERE / "readings.csv", "w") as file:
        print(",".join(columns), file=file)
        for time, *rest in zip(*columns.values()):
            texts = ["" if value is None else str(value) for value in rest]
            print(time.isoformat(sep=" ", timespec="milliseconds"), *texts, sep=",", file=file)


def write_pyarrow():
    table = pa.table(readings())
    utc = table.set_column(0, "TS", table["TS"].cast(pa.timestamp("us", tz="UTC")))
    pq.write_table(table, HERE / "pyarrow.parquet")
    for name in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]:
        pq.write_table(utc, HERE / f"pyarrow_{name}.parquet", compression=name, row_group_size=50)
    pages = {"data_page_version": "2.0", "data_page_size": 256, "write_batch_size": 16, "row_group_size": 70}
    pq.write_table(utc, HERE / "pyarrow_pages_v2.parquet", compression="zstd", **pages)
    nested = utc.append_column("Notes", pa.array([[i] for i in range(ROWS)]))
    pq.write_table(nested, HERE / "pyarrow_nested.parquet")
    pq.write_table(utc, HERE / "pyarrow_int96.parquet", use_deprecated_int96_timestamps=True, flavor="spark")
    for unit in ["ms", "ns"]:
        times = table["TS"].cast(pa.timestamp(unit))
        pq.write_table(table.set_column(0, "TS", times), HERE / f"pyarrow_{unit}.parquet", version="2.6")
    encodings = {
        "TS": "DELTA_BINARY_PACKED",
        "Device": "DELTA_BYTE_ARRAY",
        "Tag": "DELTA_BINARY_PACKED",
        "Value": "BYTE_STREAM_SPLIT",
    }
    deltas = {"use_dictionary": False, "column_encoding": encodings}
    pq.write_table(utc, HERE / "pyarrow_deltas.parquet", **deltas)
    encodings["Device"] = "DELTA_LENGTH_BYTE_ARRAY"
    pq.write_table(utc, HERE / "pyarrow_deltas_v2.parquet", data_page_version="2.0", **deltas)


def write_others():
    frame = pd.DataFrame(readings())
    frame.to_parquet(HERE / "pandas.parquet")
    fastparquet.write(str(HERE / "fastparquet.parquet"), frame)
    pl.DataFrame(readings()).write_parquet(HERE / "polars.parquet")
    for name, options in [("duckdb", ""), ("duckdb_v2", ", PARQUET_VERSION V2, COMPRESSION ZSTD, ROW_GROUP_SIZE 50")]:
        duckdb.sql(f"COPY frame TO '{HERE / name}.parquet' (FORMAT PARQUET{options})")


def write_types():
    time = dt.datetime(2018, 8, 28, 23, 0, 5, 123456)
    columns = {
        "int8": pa.array([-8, None], pa.int8()),
        "uint32": pa.array([2**32 - 1, None], pa.uint32()),
        "uint64": pa.array([2**64 - 1, None], pa.uint64()),
        "int64": pa.array([-(2**63), None], pa.int64()),
        "float": pa.array([0.1, None], pa.float32()),
        "double": pa.array([0.1, math.nan], pa.float64()),
        "large": pa.array([1e300, math.inf], pa.float64()),
        "bool": pa.array([True, False], pa.bool_()),
        "text": pa.array(["grün, \"quoted\"\n", ""], pa.string()),
        "category": pa.array(["a", None], pa.string()).dictionary_encode(),
        "date": pa.array([time.date(), None], pa.date32()),
        "seconds": pa.array([time.replace(microsecond=0), None], pa.timestamp("s", tz="Europe/Berlin")),
        "micros": pa.array([time, None], pa.timestamp("us", tz="UTC")),
        "nanos": pa.array([1535497205123456789, None], pa.timestamp("ns")),
        "small": pa.array([decimal.Decimal("-0.05"), None], pa.decimal128(5, 2)),
        "wide": pa.array([decimal.Decimal("-12345678901234567890.123456789"), None], pa.decimal128(38, 9)),
        "uuid": pa.array([uuid.UUID(int=0x0123456789ABCDEF0123456789ABCDEF).bytes, None], pa.uuid()),
        "clock": pa.array([time.time(), None], pa.time64("us")),
        "list": pa.array([[1.5], None], pa.list_(pa.float64())),
        "struct": pa.array([{"a": 1.5}, None], pa.struct([("a", pa.float64())])),
        "half": pa.array(np.array([0.5, 1.5], np.float16)),
        "nothing": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), HERE / "types.parquet")
    pq.write_table(pa.table(readings()).slice(0, 0), HERE / "empty.parquet")
    pq.write_table(pa.table({}), HERE / "no_columns.parquet")


write_csv()
write_pyarrow()
write_others()
write_types()
