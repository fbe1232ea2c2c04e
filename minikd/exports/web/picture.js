// From a drawing or a picture to the bytes that a network takes.
//
// A grey plane is {data: Uint8Array, width, height}. `minikd predict` treats ink in the same way (minikd/data/ink.py).

const TRACE = 24; // cropping ignores ink up to this grey
const DUST = 0.02; // a part smaller than this fraction of the largest one is dust

// Stretches a plane like Pillow's BILINEAR, which `minikd predict` uses. The weights form a triangle.
function stretched(plane, width, height) {
  const across = stretchedRows(plane, width);
  return turned(stretchedRows(turned(across), height));
}

function stretchedRows({ data, width, height }, target) {
  if (width === target) return { data, width, height };
  const scale = width / target;
  const reach = Math.max(scale, 1);
  const out = new Uint8Array(target * height);
  for (let q = 0; q < target; q++) {
    const centre = (q + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(width, Math.floor(centre + reach + 0.5));
    const triangle = (_, k) => Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / reach));
    const weights = Array.from({ length: end - first }, triangle);
    const total = weights.reduce((a, b) => a + b);
    for (let row = 0; row < height; row++) {
      const sum = weights.reduce((sum, w, k) => sum + w * data[row * width + first + k], 0);
      out[row * target + q] = Math.round(sum / total);
    }
  }
  return { data: out, width: target, height };
}

function turned({ data, width, height }) {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) out[j * height + i] = data[i * width + j];
  return { data: out, width: height, height: width };
}

// Cuts the ink out, scales its longer side to `box` pixels, and moves it by whole pixels until its centre of mass lies
// in the middle of a square of `size` pixels, as MNIST's authors did with their digits (20 and 28). Returns the plane
// and the ink's frame in it, or null if there is no ink.
function centred(ink, size, box) {
  const cut = cropped(ink);
  if (!cut) return null;
  const scale = box / Math.max(cut.width, cut.height);
  const side = (length) => Math.max(1, Math.round(length * scale));
  const small = stretched(cut, side(cut.width), side(cut.height));
  const [x, y] = centreOfMass(small);
  const left = within(Math.round(size / 2 - x), size - small.width);
  const top = within(Math.round(size / 2 - y), size - small.height);
  const plane = { data: new Uint8Array(size * size), width: size, height: size };
  for (let i = 0; i < small.height; i++)
    plane.data.set(small.data.subarray(i * small.width, (i + 1) * small.width), (top + i) * size + left);
  return { plane, frame: { left, top, width: small.width, height: small.height } };
}

function within(value, most) {
  return Math.min(Math.max(value, 0), most);
}

// The smallest part that contains all ink. Very faint pixels do not count.
function cropped({ data, width, height }) {
  let left = width;
  let right = -1;
  let top = height;
  let bottom = -1;
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      if (data[i * width + j] > TRACE) {
        ((left = Math.min(left, j)), (right = Math.max(right, j)), (top = Math.min(top, i)), (bottom = i));
      }
  if (right < 0) return null;
  const w = right - left + 1;
  const h = bottom - top + 1;
  const out = new Uint8Array(w * h);
  for (let i = 0; i < h; i++) out.set(data.subarray((top + i) * width + left, (top + i) * width + right + 1), i * w);
  return { data: out, width: w, height: h };
}

// The mean position of the ink, weighted by its darkness, in pixels from the upper left one.
function centreOfMass({ data, width }) {
  let mass = 0;
  let x = 0;
  let y = 0;
  data.forEach((v, i) => ((mass += v), (x += v * (i % width)), (y += v * Math.floor(i / width))));
  return [x / mass, y / mass];
}

// Ink on paper to ink on black. The background, which is most of a picture, becomes 0, and the greys farthest from it
// become 255. Greys within a third of that distance from the background are shade on the paper.
function inkOf({ data, width, height }) {
  const ground = groundOf({ data });
  const below = ground - data.reduce((a, b) => Math.min(a, b));
  const above = data.reduce((a, b) => Math.max(a, b)) - ground;
  const darker = below > above;
  const far = Math.max(below, above);
  const depth = (v) => (far < 40 ? 0 : (darker ? ground - v : v - ground) / far); // below 40 there is no ink
  const ink = data.map((v) => Math.round(255 * Math.min(1, Math.max(0, (depth(v) - 1 / 3) * 2))));
  return strokesOf({ data: ink, width, height });
}

// Removes dust. Removes parts that reach a corner, such as a frame or a table's edge, if other parts are left.
function strokesOf({ data, width, height }) {
  const { parts, sizes } = partsOf({ data, width, height });
  const inner = [...sizes];
  for (const corner of [0, width - 1, data.length - width, data.length - 1]) inner[parts[corner]] = 0;
  const largest = (found) => found.reduce((a, b) => Math.max(a, b), 0);
  const kept = largest(inner) >= DUST * largest(sizes) ? inner : sizes;
  const least = DUST * largest(kept);
  return { data: data.map((v, i) => (parts[i] && kept[parts[i]] < least ? 0 : v)), width, height };
}

// Returns the number of the part to which each dot of ink belongs, 0 for none, and the number of dots in each part.
// Dots that touch at a corner belong to the same part.
function partsOf({ data, width, height }) {
  const parts = new Int32Array(data.length);
  const sizes = [0];
  data.forEach((v, start) => {
    if (v <= TRACE || parts[start]) return;
    const number = sizes.push(0) - 1;
    const todo = [start];
    parts[start] = number;
    while (todo.length) {
      const at = todo.pop();
      sizes[number]++;
      const [column, row] = [at % width, Math.floor(at / width)];
      for (let i = Math.max(0, row - 1); i <= Math.min(height - 1, row + 1); i++)
        for (let j = Math.max(0, column - 1); j <= Math.min(width - 1, column + 1); j++) {
          const next = i * width + j;
          if (data[next] > TRACE && !parts[next]) ((parts[next] = number), todo.push(next));
        }
    }
  });
  return { parts, sizes };
}

// The median grey of a picture.
function groundOf({ data }) {
  return Uint8Array.from(data).sort()[data.length >> 1];
}

// The planes of a picture (RGBA bytes): one of grey, by the weights of ITU-R 601 as Pillow rounds them, or three.
function planesOf(rgba, width, height, channels) {
  const plane = (value) => {
    const data = new Uint8Array(width * height);
    for (let i = 0; i < data.length; i++) data[i] = value(4 * i);
    return { data, width, height };
  };
  if (channels === 3) return [0, 1, 2].map((c) => plane((i) => rgba[i + c]));
  return [plane((i) => (rgba[i] * 19595 + rgba[i + 1] * 38470 + rgba[i + 2] * 7471 + 0x8000) >> 16)];
}
