"""What `scorer score` does, as a user of scikit-learn would write it: score.py MODEL READINGS PREDICTIONS."""

import sys

import joblib
import pandas

model, readings, predictions = sys.argv[1:]
pipeline = joblib.load(model)
frame = pandas.read_csv(readings)
scores = pipeline.decision_function(frame.drop(columns="ts").to_numpy())
frame.assign(score=scores, prediction=(scores <= 0).astype(int)).to_csv(predictions, index=False)
