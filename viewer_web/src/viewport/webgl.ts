let answer: boolean | undefined;

/** Whether this browser can draw with WebGL 2; asked once, the test context given back. */
export function hasWebGL(): boolean {
  if (answer === undefined) {
    const context = document.createElement('canvas').getContext('webgl2');
    answer = context !== null;
    context?.getExtension('WEBGL_lose_context')?.loseContext();
  }
  return answer;
}
