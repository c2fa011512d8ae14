import { expect, test } from '@playwright/test'
import { accessible } from './accessible'

const at = (query = '') => `http://127.0.0.1:5199/index.html${query}`

test.describe('the log of 100,000 lines', () => {
  test.beforeEach(async ({ page }) => {
    await page.goto(at())
    await expect(page.getByRole('log')).toBeVisible()
  })

  test('scrolls with fewer than a hundred rows in the page', async ({ page }) => {
    const log = page.getByRole('log')
    const rows = log.locator('[data-index]')
    for (const part of [0, 0.3, 0.7, 1]) {
      await log.evaluate((element, share) => element.scrollTo(0, element.scrollHeight * share), part)
      await expect.poll(() => rows.count()).toBeGreaterThan(10)
      expect(await rows.count()).toBeLessThan(100)
    }
    await expect(log.getByText('neighbours').last()).toBeVisible()
  })

  test('is searched whole, with a true count', async ({ page }) => {
    const field = page.getByRole('searchbox', { name: 'Search the whole log' })
    await field.fill('needle')
    await expect(page.getByText('1 of 100')).toBeVisible()
    await field.press('Shift+Enter')
    await expect(page.getByText('100 of 100')).toBeVisible()
    await expect(page.locator('.log-hit-now')).toHaveText('needle')
    await field.fill('reading')
    await expect(page.getByText(/ of 100000/)).toBeVisible()
    await field.fill('not in here')
    await expect(page.getByText('nothing')).toBeVisible()
  })

  test('folds by step, and a line in a folded step is found all the same', async ({ page }) => {
    const log = page.getByRole('log')
    await page.getByRole('button', { name: 'Fold' }).click()
    await expect(log.locator('[data-index]')).toHaveCount(4)
    await page.getByRole('searchbox').fill('needle')
    await expect(page.locator('.log-hit-now')).toBeVisible()
  })

  test('follows until somebody reads, and again when asked', async ({ page }) => {
    const log = page.getByRole('log')
    const grow = page.getByRole('button', { name: 'One more line' })
    await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible()
    await grow.click()
    await expect(log.getByText('a line that came later')).toBeVisible()
    await log.evaluate((element) => element.scrollTo(0, 0))
    await expect(page.getByRole('button', { name: 'Follow' })).toBeVisible()
    await grow.click()
    await expect(log.getByText('a line that came later')).toHaveCount(0)
    await page.getByRole('button', { name: 'Follow' }).click()
    await expect(log.getByText('a line that came later').last()).toBeVisible()
  })

  test('has a link for each line', async ({ page }) => {
    await page.getByRole('log').evaluate((element) => element.scrollTo(0, 0))
    await page.getByRole('link', { name: 'Link to line 12', exact: true }).click()
    await expect(page.locator('[data-chosen]')).toHaveText('12')
  })

  test('is saved without colours', async ({ page }) => {
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()])
    expect(saved.suggestedFilename()).toBe('run.log')
    await expect(page.getByText('100000 lines are saved.')).toBeVisible()
  })
})

test('the timeline is also a table', async ({ page }) => {
  await page.goto(at('?lines=50'))
  await expect(page.getByRole('img', { name: '5 steps in 5 min 22 s' })).toBeVisible()
  await page.getByRole('button', { name: 'Table' }).click()
  await expect(page.getByRole('row', { name: /Cloning the repository 1 tried again — GitHub did not answer/ })).toBeVisible()
})

for (const language of ['en', 'ru']) {
  test(`axe finds nothing (${language})`, async ({ page }) => {
    await page.goto(at(`?lines=300&language=${language}`))
    await expect(page.getByRole('log')).toBeVisible()
    await accessible(page)
    await page.getByRole('button', { name: language === 'en' ? 'Table' : 'Таблица' }).click()
    await accessible(page)
  })
}
