// The scale of the data set's ratings: five stars over any of them, and a like alone where there are no ratings.

const [LOWEST, HIGHEST, STEP] = ["lowest", "highest", "step"].map((name) => Number(document.documentElement.dataset[name]));
export { HIGHEST, LOWEST };

export const LIKES_ONLY = LOWEST === HIGHEST;
export const STARS = LIKES_ONLY ? 1 : 5;
/** What one does with a movie, and what it gets. */
export const [RATE, RATING] = LIKES_ONLY ? ["Like", "like"] : ["Rate", "rating"];

const RATINGS = STEP ? Math.round((HIGHEST - LOWEST) / STEP) + 1 : Infinity;
/** As many ratings as have a place of their own on the stars; of more, each half star has one. */
const MOST = 20;
const PLACES = RATINGS <= MOST ? RATINGS : 2 * STARS;
/** What an arrow adds, where any number is a rating. */
const UNIT = STEP || (HIGHEST - LOWEST) / PLACES;

const tidy = (number) => Number(number.toPrecision(12));

export const isRating = (value) => Number.isFinite(value) && value >= LOWEST && value <= HIGHEST && (!STEP || Number.isInteger(value / STEP));

/** The share of the stars that a rating fills. */
export function filled(rating) {
  if (LIKES_ONLY) return 1;
  return STEP ? ((rating - LOWEST) / STEP + 1) / RATINGS : (rating - LOWEST) / (HIGHEST - LOWEST);
}

/** The rating at a share of the stars' width. */
export function ratingAt(share) {
  if (LIKES_ONLY) return LOWEST;
  const part = Math.min(1, Math.max(1, Math.ceil(share * PLACES - 1e-9)) / PLACES);
  return STEP ? LOWEST + (Math.round(part * RATINGS) - 1) * STEP : tidy(LOWEST + part * (HIGHEST - LOWEST));
}

/** The rating so many steps from another one, or from none, which is null. */
export function stepped(rating, steps) {
  return tidy(Math.min(HIGHEST, Math.max(LOWEST, (rating ?? LOWEST - UNIT) + steps * UNIT)));
}

/** Steps that a star has. */
export const OF_A_STAR = Math.max(1, Math.round((STEP ? RATINGS : PLACES) / STARS));

/** A rating in words. */
export const said = (rating) => (LIKES_ONLY ? "liked" : `${rating} of ${HIGHEST}`);
