# SPDX-License-Identifier: Apache-2.0
"""One named rival a file."""
