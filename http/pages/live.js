// The live stream of the events of the shown hotel: one stream at a time, which reconnects by itself.

let stream = null;
let followed = null;

export function follow(hotel, listener) {
  if (followed === hotel && stream.readyState !== EventSource.CLOSED) return;
  leave();
  followed = hotel;
  stream = new EventSource(`/v1/events/stream?hotel=${encodeURIComponent(hotel)}`);
  stream.onmessage = listener;
  stream.onopen = listener; // events may have been missed while it was disconnected
}

export function leave() {
  stream?.close();
  stream = followed = null;
}

export const isLive = () => stream?.readyState === EventSource.OPEN;
