import { formatGoDuration } from '../base/go-duration.ts';
import type { ForecastImage, ImageGcForecast } from '../kubelet/images/gc-forecast.ts';
import { shortTag } from './_image-names.ts';
import { formatAge, formatBytes, formatTable } from './_output.ts';

/** Digits of an image's ID that tell it from others here. */
const SHORT_ID = 19;

/** Tells what the node's next clean-up of images does, for people. */
export function forecastText(forecast: ImageGcForecast, now: number): string {
  const { policy, space, nextRunAt, images } = forecast;
  const off = policy.highThresholdPercent === 100 && policy.maxAge === 0;
  const rules = [
    `from ${policy.highThresholdPercent}% on images go, down to ${policy.lowThresholdPercent}%`,
    `none younger than ${formatGoDuration(policy.minAge)}`,
    ...(policy.maxAge === 0 ? [] : [`all that nobody used for ${formatGoDuration(policy.maxAge)}`]),
  ];
  const head = off
    ? 'The node does not clean up images by itself: both thresholds and ages are off.'
    : `The node cleans up images next ${after(nextRunAt, now)}: ${space.usedPercent}% of ${formatBytes(space.capacity)} are used; ${rules.join('; ')}.`;
  const rows = images.map((image) => [
    nameOf(image),
    formatBytes(image.size),
    image.goes ? 'goes' : 'stays',
    whenOf(image, now),
    whyOf(image, forecast),
  ]);
  return `${head}\n\n${formatTable([['IMAGE', 'SIZE', 'VERDICT', 'WHEN', 'WHY'], ...rows])}`;
}

function nameOf({ names, id }: ForecastImage): string {
  const [name] = names;
  return name === undefined ? id.slice(0, SHORT_ID) : shortTag(name);
}

function whenOf({ goes, at }: ForecastImage, now: number): string {
  if (at === undefined) return '';
  return goes ? after(at, now) : `${after(at, now)}, if unused`;
}

function whyOf(image: ForecastImage, { policy, space }: ImageGcForecast): string {
  if (image.reason === 'age') return `nobody used it for ${formatGoDuration(policy.maxAge)}`;
  if (image.reason === 'space') return `the disk is ${space.usedPercent}% full`;
  const by = image.usedBy.length === 0 ? '' : ` by ${image.usedBy.join(', ')}`;
  const because = image.pinReason === undefined ? '' : `: ${image.pinReason}`;
  return `${image.why ?? ''}${because}${by}`;
}

function after(at: number, now: number): string {
  return at <= now ? 'now' : `in ${formatAge(at - now)}`;
}
