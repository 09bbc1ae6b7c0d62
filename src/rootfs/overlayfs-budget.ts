/** Layers made for it could let the model walk for hours; real images need a small part of what is allowed. */

/** Names looked up, and bytes of links followed; about two seconds. */
const DEFAULT_STEPS = 8_000_000

export class WorkBudget {
  #steps: number

  constructor(steps: number = DEFAULT_STEPS) {
    this.#steps = steps
  }

  spend(steps: number): void {
    this.#steps -= steps
    if (this.#steps < 0) throw new BudgetSpent()
  }
}

/** Never shown to users: whoever starts the model says what it means. */
export class BudgetSpent extends Error {}
