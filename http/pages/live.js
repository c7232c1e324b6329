// Whoever looks at a hotel hears of what happens there: one stream at a time, which comes back by itself when it broke.

let stream = null;
let followed = null;

export function follow(hotel, heard) {
  if (followed === hotel && stream.readyState !== EventSource.CLOSED) return;
  leave();
  followed = hotel;
  stream = new EventSource(`/v1/events/stream?hotel=${encodeURIComponent(hotel)}`);
  stream.onmessage = heard;
  stream.onopen = heard; // what happened while it was broken shall show too
}

export function leave() {
  stream?.close();
  stream = followed = null;
}

export const isLive = () => stream?.readyState === EventSource.OPEN;
