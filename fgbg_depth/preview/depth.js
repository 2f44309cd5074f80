// What stored levels mean, and which colour they get.

const TINT = [255, 45, 149];  // of the cut-out in the overlay: a colour that rooms seldom have
const TINT_PART = 0.4;

function colourTable(hex) {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function isMetric(row) {
  return row.depth_min_m !== null && row.depth_min_m !== undefined && row.depth_max_m !== null && row.depth_max_m !== undefined;
}

// Metres of a level, as fgbg_depth.depth_to_metres has them.
function metresOf(row, level, full) {
  return row.depth_min_m + level * ((row.depth_max_m - row.depth_min_m) / full);
}

// The row's range of depth in words.
function rangeText(row, depth) {
  if (!isMetric(row)) return "relative";
  const [low, high] = depth.range;
  return `${metresOf(row, low, depth.full).toFixed(2)} to ${metresOf(row, high, depth.full).toFixed(2)} m`;
}

function rangeOf(levels) {
  let low = Infinity, high = -Infinity;
  for (const level of levels) {
    if (level < low) low = level;
    if (level > high) high = level;
  }
  return [low, high];
}

// A function level -> 0 (near) to 1 (far); scale is null for the map's own range.
function partOf(row, depth, scale) {
  if (scale && isMetric(row)) {
    return (level) => (metresOf(row, level, depth.full) - scale.nearM) / (scale.farM - scale.nearM);
  }
  const [low, high] = depth.range;
  return (level) => (high > low ? (level - low) / (high - low) : 0);
}

function paintDepth(canvas, row, depth, scale, colours) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(depth.width, depth.height);
  const part = partOf(row, depth, scale);
  for (let i = 0; i < depth.levels.length; i++) {
    const index = Math.round(255 * Math.min(1, Math.max(0, part(depth.levels[i]))));
    picture.data.set([colours[3 * index], colours[3 * index + 1], colours[3 * index + 2], 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
}

// The composite with the mask as a tint, its edge as a line, and the tight box around it.
function paintOverlay(canvas, image, mask, bbox) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const picture = context.getImageData(0, 0, mask.width, mask.height);
  const inside = (x, y) => x >= 0 && y >= 0 && x < mask.width && y < mask.height && mask.levels[y * mask.width + x] >= 128;
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      const i = y * mask.width + x;
      const isEdge = inside(x, y) && !(inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1));
      const part = isEdge ? 1 : (TINT_PART * mask.levels[i]) / mask.full;
      if (part) for (let c = 0; c < 3; c++) picture.data[4 * i + c] += part * (TINT[c] - picture.data[4 * i + c]);
    }
  }
  context.putImageData(picture, 0, 0);
  context.strokeStyle = "#ffffff";
  context.setLineDash([3, 3]);
  context.strokeRect(bbox[0] - 0.5, bbox[1] - 0.5, bbox[2] + 1, bbox[3] + 1);
}
