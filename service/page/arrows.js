/** Arrow keys between the images of the gallery, each to the nearest one that way. Tab still visits them all. */

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** An image that is further aside than ahead counts as further away. */
const ASIDE = 3;

/** @param {KeyboardEvent} event of a container of images */
export function moveBetween(event) {
  const way = WAYS[event.key];
  if (!way || !event.target.matches(".tile") || event.altKey || event.ctrlKey || event.metaKey) return;
  const from = centre(event.target);
  const others = [...event.currentTarget.querySelectorAll(".tile:enabled")].filter((tile) => tile !== event.target);
  const [nearest] = others.map((tile) => ({ tile, far: distance(from, centre(tile), way) }))
    .filter(({ far }) => far < Infinity).sort((a, b) => a.far - b.far);
  event.preventDefault();
  nearest?.tile.focus();
}

function centre(tile) {
  const { left, top, width, height } = tile.getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}

function distance([x, y], [u, v], [right, down]) {
  const ahead = (u - x) * right + (v - y) * down;
  const aside = Math.abs((u - x) * down) + Math.abs((v - y) * right);
  return ahead < 1 ? Infinity : ahead + ASIDE * aside;
}
