// Gray PNG files of 8 or 16 bits, read exactly as they are stored. A canvas would give 8 bits, after colour management.

const PNG_SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

// text: base64. Gives {width, height, full, levels}: full is the largest level, levels a Uint8Array or a Uint16Array.
async function decodeGrayPng(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  if (PNG_SIGNATURE.some((value, i) => bytes[i] !== value)) throw new Error("this is no PNG file");
  const parts = [];
  let header = null;
  for (let i = 8; i + 8 <= bytes.length; ) {
    const size = view.getUint32(i);
    const name = String.fromCharCode(...bytes.subarray(i + 4, i + 8));
    if (name === "IHDR") header = { width: view.getUint32(i + 8), height: view.getUint32(i + 12), bits: bytes[i + 16], colour: bytes[i + 17] };
    if (name === "IDAT") parts.push(bytes.subarray(i + 8, i + 8 + size));
    i += size + 12;
  }
  if (!header || header.colour !== 0 || ![8, 16].includes(header.bits)) throw new Error("this is no gray PNG of 8 or 16 bits");
  return withoutFilters(await inflate(parts), header);
}

async function inflate(parts) {
  if (!("DecompressionStream" in window)) throw new Error("this browser is too old to unpack the maps");
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Undo the filter of each line (PNG specification, section 9) and join the bytes of 16-bit levels.
function withoutFilters(packed, { width, height, bits }) {
  const step = bits / 8;
  const stride = width * step;
  if (packed.length < height * (stride + 1)) throw new Error("a PNG file ends too early");
  const out = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = packed[y * (stride + 1)];
    const line = packed.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    const start = y * stride;
    for (let i = 0; i < stride; i++) {
      const left = i >= step ? out[start + i - step] : 0;
      const up = y ? out[start + i - stride] : 0;
      const corner = y && i >= step ? out[start + i - stride - step] : 0;
      out[start + i] = line[i] + predicted(filter, left, up, corner);
    }
  }
  const levels = step === 1 ? out : Uint16Array.from({ length: width * height }, (_, i) => out[2 * i] * 256 + out[2 * i + 1]);
  return { width, height, full: 2 ** bits - 1, levels };
}

function predicted(filter, left, up, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const toLeft = Math.abs(up - corner), toUp = Math.abs(left - corner), toCorner = Math.abs(left + up - 2 * corner);
  return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
}
