import { expect, it } from 'vitest'
import { foundIn } from '../../src/view/found'

const task = {
  task: 'Compare the three offers',
  text: 'I read all of it twice. The **cheapest** is from the second firm,\nby 40 percent.',
  inputs: ['Offer-2025.pdf'],
  deliverables: [{ name: 'out/summary.md' } as never]
}

it.each([
  ['', ''],
  ['offers three', ''],
  ['OFFER-2025', 'Offer-2025.pdf'],
  ['offers summary', 'out/summary.md'],
  ['cheapest', '… twice. The cheapest is from the second firm, by 40 percent.'],
  ['read', 'I read all of it twice. The cheapest is from the second firm, by 40 percent.'],
  // By its id or its model.
  ['t0abc', '']
])('%s was found in %s', (search, place) => expect(foundIn(task, search)).toBe(place))
