// The front desk page: the URL's fragment selects what to show, and the data comes from the API. The page reloads the
// data when the live stream reports an event of the hotel; without the stream, every few seconds.

import { ask, askAll, Refused } from "./requests.js";
import { closeBooking, drawBooking } from "./booking_details.js";
import { clockTime, counted, dayOf, isDate, shortDate, textOf } from "./days.js";
import { element, part } from "./elements.js";
import { follow, isLive, leave } from "./live.js";
import { barOf, drawChart, drawnHotel, markOpen } from "./tape_chart.js";

const NEWS_MILLISECONDS = 200;
const POLL_MILLISECONDS = 5_000;
const POLL_LIVE_MILLISECONDS = 60_000;
const NIGHTS_CHOICES = [14, 21, 31];
const NIGHTS_BEFORE_TODAY = 1;

let hotels = [];
let businessDay = null;
let updated = null;
let request = new AbortController();
let nextReload = null;
let news = false;

// The selection in the URL's fragment; without a `from`, the chart follows the business date.

function selection() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [from, nights] = [given.get("from"), Number(given.get("nights"))];
  return {
    hotel: given.get("hotel"),
    from: isDate(from) ? from : null,
    nights: NIGHTS_CHOICES.includes(nights) ? nights : NIGHTS_CHOICES[0],
    booking: given.get("booking"),
  };
}

function address(change) {
  const given = Object.entries({ ...selection(), ...change }).filter(([, value]) => value !== null);
  return `#${new URLSearchParams(given)}`;
}

function go(change) {
  location.hash = address(change);
}

function firstDay() {
  const { from } = selection();
  return from === null ? businessDay - NIGHTS_BEFORE_TODAY : dayOf(from);
}

// Reloading

async function reload() {
  request.abort();
  const mine = (request = new AbortController());
  clearTimeout(nextReload);
  news = false;
  try {
    await showAll(mine.signal);
    if (mine.signal.aborted) return;
    updated = clockTime();
    part("updated").textContent = isLive() ? `Live, up to date at ${updated}` : `Up to date at ${updated}`;
    showMessage("");
  } catch (error) {
    if (mine.signal.aborted) return;
    if (drawnHotel() !== selection().hotel) hideChart();
    showMessage(errorText(error));
  }
  if (document.visibilityState === "visible") reloadIn(news ? NEWS_MILLISECONDS : pollMilliseconds());
}

function reloadIn(milliseconds) {
  clearTimeout(nextReload);
  nextReload = setTimeout(reload, milliseconds);
}

const pollMilliseconds = () => (isLive() ? POLL_LIVE_MILLISECONDS : POLL_MILLISECONDS);

function onEvent() {
  if (news) return;
  news = true;
  reloadIn(NEWS_MILLISECONDS);
}

async function showAll(signal) {
  const hotel = await chosenHotel(signal);
  part("nothing").hidden = hotel !== null;
  part("chart").hidden = hotel === null;
  if (hotel === null) return;
  businessDay = dayOf(hotel.business_date);
  await showChart(hotel, signal);
  await showBooking(hotel, signal);
  if (document.visibilityState === "visible") follow(hotel.id, onEvent);
}

async function chosenHotel(signal) {
  if (!hotels.some((hotel) => hotel.id === selection().hotel)) {
    hotels = await askAll("/v1/hotels", signal);
    fillChooser();
  }
  if (!hotels.length) return null;
  const known = hotels.find((hotel) => hotel.id === selection().hotel) ?? hotels[0];
  if (known.id !== selection().hotel) history.replaceState(null, "", address({ hotel: known.id }));
  part("hotel").value = known.id;
  return ask(pathOf(known.id), signal);
}

async function showChart(hotel, signal) {
  const { nights } = selection();
  const first = firstDay();
  part("from").value = textOf(first);
  part("nights").value = String(nights);
  const chart = await ask(`${pathOf(hotel.id)}/tape-chart?from=${textOf(first)}&to=${textOf(first + nights)}`, signal);
  drawChart(hotel, chart);
  part("summary").replaceChildren(...summary(chart));
  document.title = `${hotel.name} · Innkeeper`;
}

async function showBooking(hotel, signal) {
  const { booking } = selection();
  markOpen(booking);
  if (booking === null) return;
  const path = `${pathOf(hotel.id)}/bookings/${encodeURIComponent(booking)}`;
  const [found, events] = await Promise.all([ask(path, signal), ask(`${path}/history`, signal)]);
  const opening = drawBooking(hotel, found, events.data);
  if (opening) barOf(booking)?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const pathOf = (hotel) => `/v1/hotels/${encodeURIComponent(hotel)}`;

function fillChooser() {
  const known = [...part("hotel").options].map((option) => option.value + option.text);
  if (known.join() === hotels.map((hotel) => hotel.id + hotel.name).join()) return;
  part("hotel").replaceChildren(...hotels.map((hotel) => new Option(hotel.name, hotel.id)));
}

// The arrivals and departures of today, which are known only if the chart shows last night and tonight.

function summary(chart) {
  const today = chart.business_date;
  const date = element("strong", "", {}, shortDate(dayOf(today)));
  if (!(chart.from < today && today < chart.to)) return [date];
  const inHouse = chart.bookings.filter((stay) => stay.status === "in_house");
  const dueIn = chart.bookings.filter((stay) => stay.status === "confirmed" && stay.arrival <= today);
  const dueOut = inHouse.filter((stay) => stay.departure <= today);
  return [date, ` · ${inHouse.length} in house · ${dueIn.length} due in · ${dueOut.length} due out`];
}

function errorText(error) {
  if (error instanceof Refused) return `The data cannot be shown: ${error.message}.`;
  const last = updated === null ? "" : ` The chart shows the state at ${updated}.`;
  return `The server cannot be reached.${last} Retrying every ${counted(POLL_MILLISECONDS / 1_000, "second")} …`;
}

function hideChart() {
  part("chart").hidden = true;
  part("summary").replaceChildren();
  updated = null;
}

function showMessage(message) {
  if (part("message").textContent !== message) part("message").textContent = message;
  part("message").hidden = message === "";
  document.body.classList.toggle("troubled", message !== "");
}

// User input

function close() {
  if (selection().booking !== null) go({ booking: null });
  const closed = closeBooking();
  if (closed !== null) (barOf(closed) ?? part("chart")).focus();
}

function listen(id, kind, act) {
  part(id).addEventListener(kind, act);
}

function reloadHotels() {
  hotels = [];
  reload();
}

listen("hotel", "focus", reloadHotels);
listen("hotel", "change", (event) => go({ hotel: event.target.value, from: null, booking: null }));
listen("nights", "change", (event) => go({ nights: Number(event.target.value) }));
listen("from", "change", (event) => isDate(event.target.value) && go({ from: event.target.value }));
listen("earlier", "click", () => go({ from: textOf(firstDay() - 7) }));
listen("later", "click", () => go({ from: textOf(firstDay() + 7) }));
listen("today", "click", () => go({ from: null }));
listen("close", "click", close);
listen("board", "click", (event) => {
  const bar = event.target.closest(".stay");
  if (bar) go({ booking: bar.dataset.booking });
});
addEventListener("keydown", (event) => event.key === "Escape" && close());
addEventListener("hashchange", () => {
  if (selection().booking === null) close();
  reload();
});
addEventListener("online", reload);
document.addEventListener("visibilitychange", () => {
  clearTimeout(nextReload);
  leave();
  if (document.visibilityState === "visible") reload();
});

part("example").textContent = `curl ${location.origin}/v1/hotels -H 'Content-Type: application/json' -d '{
  "name": "Hotel do Mar", "timezone": "Europe/Lisbon", "currency": "EUR",
  "room_types": [{"code": "DBL", "name": "Double", "max_guests": 2,
                  "room_count": 10, "rate": {"amount": "120.00", "currency": "EUR"}}]}'`;
reload();
