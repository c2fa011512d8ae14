import type { Page } from '@playwright/test'
import { accessible } from './accessible'
import { expect, labelIssue, openIssue, signIn, test } from './platform'

/** A label that no rule knows; gives the number of its issue. */
async function labelled(title: string): Promise<number> {
  const number = await openIssue(title, 'good-fix')
  await labelIssue(number, 'a label of no meaning')
  return number
}

const ofLabel = (page: Page) => page.getByRole('row', { name: /issues\.labeled/ })

test('a delivery says why nothing was started', async ({ page }) => {
  await signIn(page, 'maintainer', '/deliveries')
  const number = await labelled('Nothing comes of it')
  await page.getByRole('searchbox', { name: /Issue number/ }).fill(`#${String(number)}`)
  await expect(page).toHaveURL(new RegExp(`q=(%23|#)${String(number)}`))
  await expect(ofLabel(page)).toBeVisible()
  await expect(ofLabel(page).getByRole('cell').nth(3)).not.toBeEmpty()
  await expect(ofLabel(page)).toContainText('No rule')
  await accessible(page)
  await page.getByRole('combobox', { name: 'Verdict' }).selectOption('started')
  await expect(page.getByText('No delivery fits')).toBeVisible()
  await accessible(page)
})

test('a delivery has an address of its own, which is all that it takes to open it', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await signIn(page, 'maintainer', '/deliveries')
  const number = await labelled('Sent to a colleague')
  await page.goto(`/deliveries?q=${String(number)}`)
  await ofLabel(page).getByRole('link', { name: 'issues.labeled' }).click()
  await expect(page).toHaveURL(/\/deliveries\/[0-9a-f-]{36}$/)
  const verdict = page.getByRole('region', { name: 'Verdict' })
  await expect(verdict).toContainText('No rule')
  await expect(page.getByRole('heading', { level: 1, name: 'issues.labeled' })).toBeVisible()
  await accessible(page)
  await page.getByRole('button', { name: 'Copy the link' }).click()
  await expect(page.getByText('Copied.')).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(page.url())
  // However far down the list it is by now: the list is not asked.
  const lists: string[] = []
  page.on('request', (request) => {
    if (/\/api\/v1\/deliveries(\?|$)/.test(request.url())) lists.push(request.url())
  })
  await page.reload()
  await expect(verdict).toContainText('No rule')
  expect(lists).toEqual([])
  await page.getByRole('link', { name: `Everything that came in about #${String(number)}` }).click()
  await expect(ofLabel(page)).toBeVisible()
})

test('a replay leads to its own address, and the audit leads there too', async ({ page }) => {
  await signIn(page, 'maintainer', '/deliveries')
  const number = await labelled('Judged once more')
  await page.goto(`/deliveries?q=${String(number)}`)
  await ofLabel(page).getByRole('link', { name: 'issues.labeled' }).click()
  await expect(page.getByRole('region', { name: 'Verdict' })).toBeVisible()
  const first = page.url()
  const replay = page.getByRole('button', { name: 'Replay' })
  await replay.click()
  await expect(page.getByRole('alertdialog').getByRole('button', { name: 'Leave it as it is' })).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(replay).toBeFocused()
  await page.keyboard.press('Enter')
  const ask = page.getByRole('alertdialog')
  await ask.getByLabel('Reason').fill('to see it again')
  await ask.getByRole('button', { name: 'Replay' }).click()
  await expect(page).not.toHaveURL(first)
  const again = page.url()
  await page.goto('/audit?kind=delivery.replayed')
  await page.getByRole('row').filter({ hasText: 'to see it again' }).getByRole('link', { name: 'delivery' }).click()
  await expect(page).toHaveURL(again)
  await page.getByRole('link', { name: 'a replay of an earlier delivery' }).click()
  await expect(page).toHaveURL(first)
})

test('a run leads to the delivery that started it, and back', async ({ page }) => {
  await signIn(page, 'reader', '/runs')
  const title = 'Started by a delivery'
  await labelIssue(await openIssue(title, 'no-change'), 'run:dev')
  await page.getByRole('link', { name: new RegExp(title) }).first().click()
  await page.getByRole('link', { name: 'label run:dev' }).click()
  await expect(page.getByRole('region', { name: 'Verdict' })).toContainText('Started a run')
  await expect(page.getByRole('button', { name: /Replay/ })).toHaveAccessibleName(/needs the role Write/)
  await page.getByRole('link', { name: 'To the run' }).click()
  await expect(page.getByRole('heading', { level: 1, name: new RegExp(title) })).toBeVisible()
})

test('an address of no delivery says so, and where to look', async ({ page }) => {
  await signIn(page, 'reader')
  for (const id of ['01900000-0000-7000-8000-000000000000', 'no-id']) {
    await page.goto(`/deliveries/${id}`)
    await expect(page.getByRole('alert')).toContainText('There is nothing here')
    await accessible(page)
    await page.getByRole('link', { name: 'All deliveries' }).click()
    await expect(page).toHaveURL(/\/deliveries$/)
  }
})
