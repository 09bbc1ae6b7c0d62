/**
 * Thrown where a pass would have to wait for long: the work goes on by itself, and whoever does it wakes the app when it is
 * done. It is no failure, and says nothing against the app.
 */
export class NotYet extends Error {
  override readonly name = 'NotYet'
}
