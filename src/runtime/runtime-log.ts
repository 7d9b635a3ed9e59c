/** Returns the last error in a log that runc or crun wrote as JSON lines; empty when there is none. */
export function lastMessage(text: string): string {
  return (
    text
      .split('\n')
      .map(messageOfLine)
      .findLast((message) => message !== '') ?? ''
  );
}

function messageOfLine(line: string): string {
  if (line === '') return '';
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== 'object' || parsed === null || !('msg' in parsed)) return '';
    if ('level' in parsed && parsed.level !== 'error' && parsed.level !== 'fatal') return '';
    return String(parsed.msg);
  } catch (error) {
    if (error instanceof SyntaxError) return line;
    throw error;
  }
}
