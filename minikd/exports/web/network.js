// The forward pass, layer by layer, as minikd's NumPy code computes it in evaluation mode.
//
// A value is {data, shape}: the numbers of one image as a Float32Array in C order, and [C, H, W] or [features]. A layer
// is its class name, its constructor's arguments and its arrays. The letters are the package's: C
// channels in, O out, H W in, P Q out, R S kernel. Sums are made in double precision and rounded once.

const FORWARD = {
  Linear: linear,
  Conv2d: conv2d,
  MaxPool2d: maxPool2d,
  AvgPool2d: avgPool2d,
  GlobalAvgPool2d: globalAvgPool2d,
  BatchNorm1d: batchNorm,
  BatchNorm2d: batchNorm,
  LayerNorm: layerNorm,
  Flatten: (x) => ({ data: x.data, shape: [x.data.length] }),
  Dropout: (x) => x, // it has an effect only in training
  ReLU: (x) => mapped(x, (v) => Math.max(v, 0)),
  LeakyReLU: (x, layer) => mapped(x, (v) => (v > 0 ? v : layer.negative_slope * v)),
  Sigmoid: (x) => mapped(x, (v) => 0.5 * (1 + Math.tanh(0.5 * v))),
  Tanh: (x) => mapped(x, Math.tanh),
  GELU: (x) => mapped(x, (v) => 0.5 * v * (1 + erf(v * Math.SQRT1_2))),
  Sequential: (x, layer) => chain(x, layer.layers),
  Residual: residual,
};

// y = layer(... layer(x))
function chain(x, layers) {
  for (const layer of layers) x = FORWARD[layer.layer](x, layer);
  return x;
}

// y = x + f(x)
function residual(x, layer) {
  const f = chain(x, layer.layers).data;
  return { data: x.data.map((v, i) => v + f[i]), shape: x.shape };
}

// y[o] = b[o] + sum over c of x[c] w[o, c]
function linear(x, { weight, bias }) {
  const C = x.data.length;
  const O = bias.length;
  const y = new Float32Array(O);
  for (let o = 0; o < O; o++) {
    let sum = bias[o];
    for (let c = 0; c < C; c++) sum += x.data[c] * weight[o * C + c];
    y[o] = sum;
  }
  return { data: y, shape: [O] };
}

// y[o, p, q] = b[o] + sum over c, r, s of x[c, p·sy + r·dy - py, q·sx + s·dx - px] w[o, c, r, s]
//
// with stride s, dilation d and padding p: a dense layer over windows. With groups, each group of output channels
// sees only its own group of input channels.
function conv2d(x, layer) {
  const [P, Q] = outputSize(x.shape, layer);
  const O = layer.out_channels;
  const { weight, bias, groups } = layer;
  const C = x.shape[0] / groups;
  const each = O / groups;
  const y = new Float32Array(O * P * Q);
  for (let g = 0; g < groups; g++) {
    const seen = windows(x, layer, g * C, C);
    const length = seen.length / (P * Q);
    for (let o = g * each; o < (g + 1) * each; o++)
      for (let at = 0; at < P * Q; at++) {
        let sum = bias[o];
        for (let i = 0; i < length; i++) sum += seen[at * length + i] * weight[o * length + i];
        y[o * P * Q + at] = sum;
      }
  }
  return { data: y, shape: [O, P, Q] };
}

// The pixels of each window, in the order of a kernel's weights, for `count` channels from `first` on. A pixel outside
// the image is 0.
function windows(x, { kernel_size: [R, S], stride, padding, dilation }, first, count) {
  const [, H, W] = x.shape;
  const [P, Q] = outputSize(x.shape, { kernel_size: [R, S], stride, padding, dilation });
  const seen = new Float32Array(P * Q * count * R * S);
  let at = 0;
  for (let p = 0; p < P; p++)
    for (let q = 0; q < Q; q++)
      for (let c = first; c < first + count; c++)
        for (let r = 0; r < R; r++)
          for (let s = 0; s < S; s++, at++) {
            const i = p * stride[0] + r * dilation[0] - padding[0];
            const j = q * stride[1] + s * dilation[1] - padding[1];
            if (i >= 0 && i < H && j >= 0 && j < W) seen[at] = x.data[(c * H + i) * W + j];
          }
  return seen;
}

// The number of windows that fit, vertically and horizontally.
function outputSize([, H, W], { kernel_size, stride, padding, dilation = [1, 1] }) {
  const fits = (n, d) => n + 2 * padding[d] - dilation[d] * (kernel_size[d] - 1) - 1;
  return [H, W].map((n, d) => Math.floor(fits(n, d) / stride[d]) + 1);
}

// The largest pixel of each window; padding is never the largest.
function maxPool2d(x, layer) {
  return pooled(x, layer, -Infinity, Math.max);
}

// The mean of each window; padding counts as zeros.
function avgPool2d(x, layer) {
  const area = layer.kernel_size[0] * layer.kernel_size[1];
  return mapped(
    pooled(x, layer, 0, (sum, v) => sum + v),
    (sum) => sum / area,
  );
}

// y[c, p, q] = add(... add(start, v)) for the pixels v of window p, q of channel c that lie inside the image
function pooled(x, layer, start, add) {
  const [C, H, W] = x.shape;
  const [R, S] = layer.kernel_size;
  const [P, Q] = outputSize(x.shape, layer);
  const y = new Float32Array(C * P * Q);
  for (let c = 0; c < C; c++)
    for (let p = 0; p < P; p++)
      for (let q = 0; q < Q; q++) {
        const top = p * layer.stride[0] - layer.padding[0];
        const left = q * layer.stride[1] - layer.padding[1];
        let value = start;
        for (let i = Math.max(0, top); i < Math.min(H, top + R); i++)
          for (let j = Math.max(0, left); j < Math.min(W, left + S); j++)
            value = add(value, x.data[(c * H + i) * W + j]);
        y[(c * P + p) * Q + q] = value;
      }
  return { data: y, shape: [C, P, Q] };
}

// Each channel's mean.
function globalAvgPool2d(x) {
  const [C, H, W] = x.shape;
  const mean = (c) => x.data.subarray(c * H * W, (c + 1) * H * W).reduce((a, b) => a + b) / (H * W);
  return { data: Float32Array.from({ length: C }, (_, c) => mean(c)), shape: [C, 1, 1] };
}

// y = weight (x - mean) / sqrt(var + eps) + bias, with each channel's running mean and variance from the training
function batchNorm(x, layer) {
  const area = x.data.length / layer.num_features;
  const scale = layer.weight.map((w, c) => w / Math.sqrt(layer.running_var[c] + layer.eps));
  const value = (v, c) => scale[c] * (v - layer.running_mean[c]) + layer.bias[c];
  return { data: x.data.map((v, i) => value(v, Math.floor(i / area))), shape: x.shape };
}

// The same with the mean and variance of this image's own values, over the last axes.
function layerNorm(x, layer) {
  const size = layer.weight.length;
  const y = new Float32Array(x.data.length);
  for (let start = 0; start < y.length; start += size) {
    const block = Float64Array.from(x.data.subarray(start, start + size));
    const mean = block.reduce((a, b) => a + b) / size;
    const variance = block.reduce((sum, v) => sum + (v - mean) ** 2, 0) / size;
    const rho = 1 / Math.sqrt(variance + layer.eps);
    for (let i = 0; i < size; i++) y[start + i] = layer.weight[i] * (block[i] - mean) * rho + layer.bias[i];
  }
  return { data: y, shape: x.shape };
}

function mapped(x, f) {
  return { data: x.data.map((v) => f(v)), shape: x.shape };
}

// erf(x) = 2/sqrt(pi) e^(-x²) (x + 2/3 x³ + 4/15 x⁵ + ...): every term has x's sign, so nothing cancels.
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x); // to 17 digits
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

// (pixel/255 - mean) / deviation of each channel: as the training images were prepared, with the same rounding.
function normalised(pixels, shape, mean, std) {
  const area = shape[1] * shape[2];
  const scale = std.map((s) => Math.fround(1 / (255 * s)));
  const shift = std.map((s, c) => Math.fround(mean[c] / s));
  const channel = (i) => Math.floor(i / area);
  const data = Float32Array.from(pixels, (v, i) => Math.fround(v * scale[channel(i)]) - shift[channel(i)]);
  return { data, shape };
}

// The logits of one model for one image's bytes. A network in whole numbers takes the bytes unchanged, and its sums
// are the logits in units of 2^-logit_bits.
function logitsOf(model, pixels, shape) {
  if (model.logit_bits === null) return chain(normalised(pixels, shape, model.mean, model.std), model.layers).data;
  return Float64Array.from(chain({ data: pixels, shape }, model.layers).data, (u) => u * 2 ** -model.logit_bits);
}

// Base64 to bytes, and to numbers whose lowest byte is first, on every machine.
function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const NUMBERS = {
  float32: (text) => read(text, 4, Float32Array, (view, i) => view.getFloat32(i, true)),
  int32: (text) => read(text, 4, Int32Array, (view, i) => view.getInt32(i, true)),
  int8: (text) => read(text, 1, Int8Array, (view, i) => view.getInt8(i)),
  uint8: bytesOf,
};

function read(text, width, kind, get) {
  const bytes = bytesOf(text);
  const view = new DataView(bytes.buffer);
  return kind.from({ length: bytes.length / width }, (_, i) => get(view, width * i));
}

// Decodes each layer's arrays from base64 into numbers, also in the layers of a block.
function unpacked(layers) {
  return layers.map(({ arrays = {}, ...layer }) => ({
    ...layer,
    ...(layer.layers && { layers: unpacked(layer.layers) }),
    ...Object.fromEntries(Object.entries(arrays).map(([name, { type, data }]) => [name, NUMBERS[type](data)])),
  }));
}
