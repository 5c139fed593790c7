# SPDX-License-Identifier: Apache-2.0
"""The names of the files of a build folder."""

DATAFLOW, LATENCY, RTL, REPORT = "dataflow.json", "latency.json", "rtl", "compile.json"
QONNX, HARDWARE = "model.qonnx.onnx", "hardware.onnx"
CHECKPOINT, FLOAT, VERDICT, SIMULATION = "checkpoint.pt", "float.pt", "verdict.json", "sim"
