# SPDX-License-Identifier: Apache-2.0
"""Which pixels: files, layouts of data sets, sampling, transforms, the synthetic shop."""
