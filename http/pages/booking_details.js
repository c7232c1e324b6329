// The panel with the details of a booking: guest, stay, room, price and history.

import { counted, dayOf, hotelTime, longDate, shortDate } from "./days.js";
import { element, FORGOTTEN, part } from "./elements.js";

const panel = part("details");
let drawn = "";
let open = null;

/** Shows a booking and its events; unchanged content is not redrawn. Returns whether the panel was just opened. */
export function drawBooking(hotel, booking, events) {
  const text = JSON.stringify([booking, events]);
  if (text !== drawn) {
    drawn = text;
    part("guest").textContent = booking.guest.name ?? FORGOTTEN;
    part("standing").textContent = booking.status.replace("_", " ");
    part("standing").className = booking.status;
    part("facts").replaceChildren(...Object.entries(facts(hotel, booking)).flatMap(fact));
    drawPrice(booking.price);
    part("history").replaceChildren(...events.map((event) => historyEntry(hotel, event)));
  }
  const opening = open === null;
  open = booking.id;
  panel.hidden = false;
  if (opening) part("close").focus();
  return opening;
}

/** Closes the panel. Returns the id of the booking that was open, or null. */
export function closeBooking() {
  const closed = open;
  open = null;
  panel.hidden = true;
  return closed;
}

function facts(hotel, booking) {
  return {
    Locator: booking.locator,
    Arrival: longDate(dayOf(booking.arrival)),
    Departure: longDate(dayOf(booking.departure)),
    Nights: booking.nights,
    Room: `${booking.room ?? "none yet"}, ${booking.room_type}${booking.pinned ? ", promised" : ""}`,
    Guests: guests(booking),
    "E-mail": booking.guest.email,
    Phone: booking.guest.phone,
    Source: booking.source,
    "Held until": booking.expires_at && hotelTime(booking.expires_at, hotel.timezone),
    Fee: booking.fee && `${booking.fee.amount} ${booking.fee.currency}`,
    Reminder: booking.reminder_on && longDate(dayOf(booking.reminder_on)),
    Notes: booking.notes,
  };
}

function guests(booking) {
  const { adults, children } = booking;
  if (!children.length) return counted(adults, "adult");
  return `${counted(adults, "adult")}, ${counted(children.length, "child", "children")} (aged ${children.join(", ")})`;
}

function fact([name, value]) {
  if (value === null || value === "") return [];
  return [element("dt", "", {}, name), element("dd", "", {}, String(value))];
}

function drawPrice(price) {
  part("prices").replaceChildren(...price.nights.map((night) => priceRow(shortDate(dayOf(night.date)), night.total)));
  part("total").replaceChildren(priceRow("Total", `${price.total} ${price.currency}`));
}

function priceRow(label, amount) {
  return element("tr", "", {}, element("th", "", { scope: "row" }, label), element("td", "", {}, amount));
}

function historyEntry(hotel, event) {
  const what = event.type.split(".").at(-2).replaceAll("_", " ");
  const when = [hotelTime(event.time, hotel.timezone), event.by].filter(Boolean).join(", ");
  return element("li", "", {}, element("b", "", {}, what + more(event.data)), element("span", "", {}, when));
}

function more(data) {
  if (data.from_room) return ` from ${data.from_room} to ${data.to_room} (${data.cause})`;
  return data.reason ? `: ${data.reason}` : "";
}
