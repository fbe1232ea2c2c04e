// The same network in whole numbers, as minikd/exports/integer.py derives it: bytes in, 8-bit weights, 32-bit sums, and
// no fractions from pixel to logit. Every sum stays below 2^24, so each number is exact, whatever the order.

Object.assign(FORWARD, {
  QuantizedFlatten: (x) => ({ data: x.data, shape: [x.data.length] }),
  QuantizedLinear: quantizedLinear,
  QuantizedConv2d: quantizedConv2d,
  QuantizedMaxPool2d: quantizedMaxPool2d,
});

// u[o] = B[o] + sum over c of q[o, c] a[c]
function quantizedLinear(x, layer) {
  const C = x.data.length;
  const O = layer.bias.length;
  const sums = Int32Array.from(layer.bias);
  for (let o = 0; o < O; o++) for (let c = 0; c < C; c++) sums[o] += layer.weight[o * C + c] * x.data[c];
  return finished(sums, [O], layer.shift);
}

// Each channel of the image gets a border with its own byte, so that no window leaves the image.
function quantizedConv2d(x, layer) {
  const [C, H, W] = x.shape;
  const [py, px] = layer.padding;
  const wide = [C, H + 2 * py, W + 2 * px];
  const padded = new Uint8Array(wide[0] * wide[1] * wide[2]);
  for (let c = 0; c < C; c++) {
    padded.fill(layer.border[c], c * wide[1] * wide[2], (c + 1) * wide[1] * wide[2]);
    for (let i = 0; i < H; i++)
      padded.set(x.data.subarray((c * H + i) * W, (c * H + i + 1) * W), (c * wide[1] + i + py) * wide[2] + px);
  }
  // The loops are those of the floating network; its float32 outputs hold whole numbers below 2^24 exactly.
  const sums = conv2d({ data: padded, shape: wide }, { ...layer, padding: [0, 0] });
  return finished(Int32Array.from(sums.data), sums.shape, layer.shift);
}

function quantizedMaxPool2d(x, layer) {
  const best = maxPool2d(x, layer);
  return { data: Uint8Array.from(best.data), shape: best.shape };
}

// Returns the bytes of the next layer's input. The last layer has no shift and returns its sums.
function finished(sums, shape, shift) {
  if (!shift) return { data: sums, shape };
  const area = sums.length / shift.length;
  return { data: Uint8Array.from(sums, (u, i) => requantized(u, shift[Math.floor(i / area)])), shape };
}

// min(255, max(0, u) / 2^r), rounded half to even.
function requantized(u, r) {
  if (u <= 0) return 0;
  return Math.min(255, r === 0 ? u : (u + (1 << (r - 1)) - 1 + ((u >> r) & 1)) >> r);
}
