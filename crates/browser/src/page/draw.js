// A picture of the window with the numbers drawn on it. It is drawn on a copy: the page itself shows nothing of it.

const COLOURS = ['#c62828', '#1565c0', '#2e7d32', '#6a1b9a', '#ad5c00', '#00695c'];

thenar.draw = async (data, boxes, scale, quality) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes]));
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const pen = canvas.getContext('2d');
  pen.drawImage(picture, 0, 0);
  pen.font = 'bold 12px sans-serif';
  pen.textBaseline = 'top';
  pen.lineWidth = 1.5;
  for (const [number, left, top, right, bottom] of boxes) {
    const colour = COLOURS[number % COLOURS.length];
    const x = left * scale, y = top * scale;
    pen.strokeStyle = colour;
    pen.strokeRect(x, y, (right - left) * scale, (bottom - top) * scale);
    const text = String(number);
    const width = pen.measureText(text).width + 4;
    const labelX = Math.min(x, picture.width - width);
    const labelY = y >= 14 ? y - 14 : y;
    pen.fillStyle = colour;
    pen.fillRect(labelX, labelY, width, 14);
    pen.fillStyle = '#fff';
    pen.fillText(text, labelX + 2, labelY + 1);
  }
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality });
  // Megabytes of pixels each, which would stay until the page's memory is tidied up.
  picture.close();
  canvas.width = canvas.height = 0;
  const out = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (let at = 0; at < out.length; at += 32768) text += String.fromCharCode(...out.subarray(at, at + 32768));
  return btoa(text);
};
