/** What one change is told to many watchers, and answered to its author: its JSON is made once. */
const texts = new WeakMap<object, string>();

/** Notes the JSON of an object that nobody changes any more. */
export function rememberText(object: object, text: string): void {
  texts.set(object, text);
}

/** Returns the JSON of an object that nobody changes any more, on one line. */
export function textOf(object: object): string {
  let text = texts.get(object);
  if (text === undefined) texts.set(object, (text = JSON.stringify(object)));
  return text;
}

/** Returns a copy to be changed, of an object that nobody changes any more. */
export function copyOf<T extends object>(object: T): T {
  return JSON.parse(textOf(object)) as T;
}
