# SPDX-License-Identifier: GPL-2.0
# A filter process that passes all it sees.
# shellcheck shell=bash

filtered pass
filtered pass-realtime --realtime
filtered pass-notify --notify

# So many filters one below the other, in one process.
for layers in 2 8; do
	filtered "layers-$layers" --layers "$layers"
done
