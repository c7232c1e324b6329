// Hotel dates as numbers of days since 1970, so that no time zone can shift them, and the formats of dates.

const DAY_MILLISECONDS = 86_400_000;
const LANGUAGE = "en-GB"; // the language of the page

const moment = (day) => new Date(day * DAY_MILLISECONDS);
const formatter = (form) => {
  const format = new Intl.DateTimeFormat(LANGUAGE, { timeZone: "UTC", ...form });
  return (day) => format.format(moment(day));
};

export const dayOf = (text) => Date.parse(`${text}T00:00:00Z`) / DAY_MILLISECONDS;
export const textOf = (day) => moment(day).toISOString().slice(0, 10);
export const isDate = (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(dayOf(text));
export const isWeekend = (day) => [0, 6].includes(moment(day).getUTCDay());

export const weekday = formatter({ weekday: "short" });
export const dayOfMonth = formatter({ day: "numeric" });
export const month = formatter({ month: "short", year: "numeric" });
export const shortDate = formatter({ weekday: "short", day: "numeric", month: "short" });
export const longDate = formatter({ weekday: "long", day: "numeric", month: "long", year: "numeric" });

export const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

export function stayDates(stay) {
  const nights = dayOf(stay.departure) - dayOf(stay.arrival);
  return `${shortDate(dayOf(stay.arrival))} – ${shortDate(dayOf(stay.departure))}, ${counted(nights, "night")}`;
}

/** An instant in the hotel's time zone. */
export function hotelTime(instant, timeZone) {
  const format = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short", timeZone });
  return format.format(new Date(instant));
}

/** The current time in the browser's time zone. */
export const clockTime = () => new Date().toLocaleTimeString(LANGUAGE);
