// The tape chart: a row for each room, two columns for each night, and a bar for each stay, from the middle of its
// arrival day to the middle of its departure day.

import { counted, dayOf, dayOfMonth, isWeekend, longDate, month, shortDate, stayDates, weekday } from "./days.js";
import { across, element, FORGOTTEN, part } from "./elements.js";

const FIRST_COLUMN = 2; // the first holds the rooms
const board = part("board");
const chart = part("chart");
let drawn = { text: "", hotel: null };

/** Draws a hotel's chart; an unchanged one is not redrawn. The scroll position and the focus are kept. */
export function drawChart(hotel, answer) {
  const text = JSON.stringify([hotel, answer]);
  if (text === drawn.text) return;
  const [left, top] = drawn.hotel === hotel.id ? [chart.scrollLeft, chart.scrollTop] : [0, 0];
  const focused = board.contains(document.activeElement) ? document.activeElement.dataset.booking : null;
  drawn = { text, hotel: hotel.id };
  const nights = nightsOf(answer);
  board.style.setProperty("--halves", 2 * nights.length);
  board.replaceChildren(shades(nights), header(nights), ...groups(hotel, answer.bookings, nights));
  chart.scrollTo(left, top);
  enter(barOf(focused) ?? board.querySelector(".stay"));
  barOf(focused)?.focus({ preventScroll: true });
}

export const drawnHotel = () => drawn.hotel;
export const barOf = (booking) => [...board.querySelectorAll(".stay")].find((bar) => bar.dataset.booking === booking);

/** Marks the bar whose details are open. */
export function markOpen(booking) {
  for (const bar of board.querySelectorAll(".stay")) {
    bar.setAttribute("aria-expanded", String(bar.dataset.booking === booking));
  }
}

function nightsOf(answer) {
  const [first, business] = [dayOf(answer.from), dayOf(answer.business_date)];
  return Array.from({ length: dayOf(answer.to) - first }, (_, index) => ({
    day: first + index,
    column: FIRST_COLUMN + 2 * index,
    kind: kindOf(first + index, business),
  }));
}

function kindOf(day, business) {
  if (day === business) return "business";
  return isWeekend(day) ? "weekend" : "";
}

function shades(nights) {
  const layer = element("div", "row shades", { "aria-hidden": "true" });
  layer.append(...nights.map((night) => across(element("div", `shade ${night.kind}`), night.column, 2)));
  return layer;
}

function header(nights) {
  const row = element("div", "row header", { role: "row" });
  row.append(element("div", "corner", { role: "columnheader" }, "Room"), ...months(nights), ...nights.map(dayHeader));
  return row;
}

function months(nights) {
  const spans = Map.groupBy(nights, (night) => month(night.day));
  return [...spans].map(([name, span]) => {
    const label = element("span", "", {}, name);
    return across(element("div", "month", { "aria-hidden": "true" }, label), span[0].column, 2 * span.length);
  });
}

function dayHeader(night) {
  const attributes = { role: "columnheader", "aria-label": longDate(night.day), title: longDate(night.day) };
  if (night.kind === "business") attributes["aria-current"] = "date";
  const number = element("strong", "", {}, dayOfMonth(night.day));
  return across(element("div", `day ${night.kind}`, attributes, weekday(night.day), number), night.column, 2);
}

function groups(hotel, stays, nights) {
  const byRoom = Map.groupBy(stays.flatMap(partsOf), (part) => part.room);
  return hotel.room_types.map((type) => {
    const inType = type.rooms.flatMap((room) => byRoom.get(room) ?? []);
    const rows = type.rooms.map((room) => roomRow(room, byRoom.get(room) ?? [], nights));
    return element("div", "group", { role: "rowgroup" }, typeRow(type, inType, nights), ...rows);
  });
}

function partsOf(stay) {
  return stay.rooms.map(({ room, first, until }) => ({ stay, room, first: dayOf(first), until: dayOf(until) }));
}

function typeRow(type, parts, nights) {
  const title = { role: "rowheader", title: `${type.code}: ${type.name}` };
  const name = element("div", "type", title, element("b", "", {}, type.code), element("span", "", {}, type.name));
  const counts = nights.map((night) => freeCount(type, parts, night));
  return element("div", "row free-rooms", { role: "row" }, name, ...counts);
}

function freeCount(type, parts, night) {
  const taken = parts.filter((part) => part.first <= night.day && night.day < part.until);
  const free = type.rooms.length - taken.length;
  const label = `${shortDate(night.day)}: ${free} of ${type.rooms.length} ${type.code} free`;
  const attributes = { role: "gridcell", title: label, "aria-label": label };
  return across(element("div", free > 0 ? "free" : "free none", attributes, String(free)), night.column, 2);
}

function roomRow(room, parts, nights) {
  const cell = { role: "gridcell", "aria-colspan": nights.length };
  const bars = element("div", "stays", cell, ...parts.map((part) => bar(part, nights)));
  return element("div", "row room-row", { role: "row" }, element("div", "room", { role: "rowheader" }, room), bars);
}

function bar({ stay, first: day, until }, nights) {
  const first = nights[0].day;
  const start = 2 * (day - first) + 2;
  const end = 2 * (until - first) + 2;
  const last = 2 * nights.length + 1;
  const edges = (start < 1 ? " early" : "") + (end > last ? " late" : "");
  const label = description(stay);
  const attributes = { type: "button", tabindex: "-1", title: label, "aria-label": label, "aria-haspopup": "dialog" };
  const name = element("span", "name", {}, ...(stay.pinned ? [element("i", "pin")] : []), stay.guest.name ?? FORGOTTEN);
  const made = element("button", `stay ${stay.status}${edges}`, attributes, name);
  made.dataset.booking = stay.id;
  const from = Math.max(start, 1);
  return across(made, from, Math.max(Math.min(end, last) - from, 1));
}

function description(stay) {
  const children = stay.children.length ? `, ${counted(stay.children.length, "child", "children")}` : "";
  return [
    `${stay.guest.name ?? FORGOTTEN} (${stay.locator})`,
    stayDates(stay),
    `Room ${stay.room ?? "none yet"}${stay.pinned ? ", promised" : ""}, ${stay.status.replace("_", " ")}`,
    counted(stay.adults, "adult") + children,
  ].join("\n");
}

// Only one bar is in the tab order; the arrow keys move from there.

function enter(bar) {
  for (const other of board.querySelectorAll('.stay[tabindex="0"]')) other.tabIndex = -1;
  if (bar) bar.tabIndex = 0;
}

const columnOf = (bar) => Number.parseInt(bar.style.gridColumnStart, 10);

function beside(bar, step) {
  const bars = [...board.querySelectorAll(".stay")];
  return bars[bars.indexOf(bar) + step];
}

function inNextRow(bar, step) {
  const rows = [...board.querySelectorAll(".stays:has(.stay)")];
  const bars = [...(rows[rows.indexOf(bar.parentElement) + step]?.children ?? [])];
  const distance = (other) => Math.abs(columnOf(other) - columnOf(bar));
  return bars.sort((one, other) => distance(one) - distance(other))[0];
}

const NEIGHBOURS = {
  ArrowLeft: (bar) => beside(bar, -1),
  ArrowRight: (bar) => beside(bar, 1),
  ArrowUp: (bar) => inNextRow(bar, -1),
  ArrowDown: (bar) => inNextRow(bar, 1),
  Home: (bar) => bar.parentElement.firstElementChild,
  End: (bar) => bar.parentElement.lastElementChild,
};

board.addEventListener("focusin", (event) => event.target.matches(".stay") && enter(event.target));
board.addEventListener("keydown", (event) => {
  const neighbour = NEIGHBOURS[event.key];
  if (!neighbour || !event.target.matches(".stay")) return;
  event.preventDefault();
  neighbour(event.target)?.focus();
});
