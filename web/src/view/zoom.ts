// A picture drawn larger than its place, so that a page can be read on a phone: how large, and which part of it is seen.

export interface Box {
  width: number
  height: number
}

export interface Zoom {
  scale: number
  /** How far the picture is moved, on the screen, from where it rests. */
  x: number
  y: number
}

export const WHOLE: Zoom = { scale: 1, x: 0, y: 0 }
const SCALE_MAX = 5

/** Along one way: in the middle where all fits, else never past an edge. */
function kept(moved: number, room: number, size: number, scale: number): number {
  const rest = (room - size) / 2
  const large = size * scale
  if (large <= room) return (room - large) / 2 - rest
  return Math.max(room - large - rest, Math.min(-rest, moved))
}

/** Larger or smaller by so much, with what is at one place of the screen moved to another; both from where the picture rests. */
export function zoomed(from: Zoom, by: number, room: Box, picture: Box, at: { x: number; y: number }, to = at): Zoom {
  const scale = Math.max(1, Math.min(SCALE_MAX, from.scale * by))
  const grown = scale / from.scale
  return {
    scale,
    x: kept(to.x - (at.x - from.x) * grown, room.width, picture.width, scale),
    y: kept(to.y - (at.y - from.y) * grown, room.height, picture.height, scale)
  }
}
