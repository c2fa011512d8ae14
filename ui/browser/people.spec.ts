import { accessible } from './accessible'
import { expect, signIn, state, test } from './platform'

test('the owner lets somebody in, finds them, locks them out with a reason', async ({ page }) => {
  await signIn(page, 'maintainer', '/people')
  await expect(page.getByRole('row', { name: /writer@people\.example/ })).toBeVisible()
  await accessible(page)
  await page.getByRole('button', { name: 'Add a person' }).click()
  await page.getByLabel('E-mail address').fill('zoe@people.example')
  await accessible(page)
  await page.getByRole('dialog').getByRole('button', { name: 'Add a person' }).click()
  await expect(page.getByText('zoe@people.example may sign in now.')).toBeVisible()

  await page.keyboard.press('/')
  await page.keyboard.type('zoe')
  await expect(page).toHaveURL(/\/people\?q=zoe$/)
  await expect(page.getByRole('row')).toHaveCount(2)
  const row = page.getByRole('row', { name: /zoe@people\.example/ })
  await row.getByRole('button', { name: 'Lock out' }).click()
  const dialog = page.getByRole('alertdialog')
  const sure = dialog.getByRole('button', { name: /Lock out/ })
  await expect(sure).toHaveAttribute('aria-disabled', 'true')
  await dialog.getByLabel('Reason').fill('left the team')
  await accessible(page)
  await sure.click()
  await expect(row.getByText('Locked out')).toBeVisible()

  // The address has the filter: whoever gets it sees the same.
  await page.reload()
  await expect(page.getByRole('row')).toHaveCount(2)
  await row.getByRole('button', { name: 'Let in again' }).click()
  await expect(row.getByText('Not signed in yet')).toBeVisible()
})

test('a mistake keeps what was typed', async ({ page }) => {
  await signIn(page, 'maintainer', '/people')
  await page.getByRole('button', { name: 'Add a person' }).click()
  await page.getByLabel('E-mail address').fill('writer@people.example')
  await page.getByRole('dialog').getByRole('button', { name: 'Add a person' }).click()
  await expect(page.getByRole('alert')).toContainText('is on the list already')
  await expect(page.getByLabel('E-mail address')).toHaveValue('writer@people.example')
})

test('nothing that is found says what to do', async ({ page }) => {
  await signIn(page, 'maintainer', '/people?q=nobody-has-this')
  await expect(page.getByText('Nobody fits')).toBeVisible()
  await accessible(page)
})

test('who may not see the list has no way to it, and is told when they type it', async ({ page }) => {
  await signIn(page, 'reader')
  await expect(page.getByRole('link', { name: 'People' })).toHaveCount(0)
  await page.goto('/people')
  await expect(page.getByRole('alert')).toContainText('role_missing')
  await accessible(page)
})

test('a disabled person is out at once', async ({ page, browser }) => {
  await signIn(page, 'maintainer', '/people')
  const there = await (await browser.newContext({ baseURL: state.gateway_url })).newPage()
  await signIn(there, 'writer', '/projects')
  const row = page.getByRole('row', { name: /writer@people\.example/ })
  await row.getByRole('button', { name: 'Lock out' }).click()
  await page.getByRole('alertdialog').getByLabel('Reason').fill('a test')
  await page.getByRole('alertdialog').getByRole('button', { name: /Lock out/ }).click()
  await expect(row.getByText('Locked out')).toBeVisible()
  // The open page finds out by itself.
  await expect(there).toHaveURL(/\/sign-in\?to=\/projects$/, { timeout: 20_000 })
  await there.getByRole('link', { name: 'Sign in with GitHub' }).click()
  await there.getByRole('button', { name: 'Sign in as writer', exact: true }).click()
  await expect(there.getByRole('alert')).toContainText('You are locked out here.')
  await row.getByRole('button', { name: 'Let in again' }).click()
  await expect(row.getByText('May sign in')).toBeVisible()
  await there.context().close()
})
