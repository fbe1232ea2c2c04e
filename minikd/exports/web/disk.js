// A picture from disk.

async function load(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    const words = `${file.name} cannot be read as a picture. Choose a PNG, JPEG, GIF, BMP or WebP file.`;
    byId("seen").textContent = byId("spoken").textContent = words;
    return;
  }
  seePicture(bitmap, file.name);
  speak();
}

// A picture of the networks' size is used as it is, and any other is stretched. If the networks learned from objects on
// black, a picture on white is inverted. If they learned from ink on black, then ink on paper, or a picture of another
// size, is treated as a drawing.
function seePicture(bitmap, name) {
  const shrink = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * shrink)));
  const context = element("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // transparent pixels become white
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const planes = planesOf(context.getImageData(0, 0, width, height).data, width, height, C);
  const fits = width === W && height === H;
  if (page.draw && !(fits && groundOf(planes[0]) < 128)) return seePaper(inkOf(planes[0]), name);
  const turn = page.on_black && groundOf(planes[0]) >= 128;
  const pixels = new Uint8Array(C * H * W);
  planes.forEach((plane, c) => pixels.set(stretched(plane, W, H).data, c * H * W));
  if (turn) pixels.forEach((v, i) => (pixels[i] = 255 - v));
  if (page.draw) putOnPaper(pixels);
  else layOnPaper(context.canvas, paper.canvas.width, paper.canvas.height, true);
  const how = fits ? "as it is" : `stretched to ${W} × ${H} pixels`;
  see(pixels, { words: `${name}, ${how}${turn ? ", light and dark inverted" : ""}.` });
}

// Puts a picture's ink on the paper, and treats it like a drawing.
function seePaper(ink, name) {
  const sheet = element("canvas", { width: ink.width, height: ink.height });
  const context = sheet.getContext("2d");
  const image = context.createImageData(ink.width, ink.height);
  const fit = paper.canvas.width / Math.max(ink.width, ink.height);
  ink.data.forEach((v, i) => (image.data[4 * i + 3] = v));
  context.putImageData(image, 0, 0);
  layOnPaper(sheet, ink.width * fit, ink.height * fit, true);
  seeInk(ink, name);
}
