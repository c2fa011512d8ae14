import { accessible } from './accessible'
import { attachRepository, expect, makeRepository, signIn, state, test } from './platform'

test.describe.configure({ timeout: 120_000 })

test('a repository is attached with a token: every right that is missing is listed at once', async ({ page }) => {
  await signIn(page, 'maintainer', '/repositories')
  const row = page.getByRole('row', { name: /acme\/greeter/ })
  await expect(row).toBeVisible()
  await accessible(page)
  const attach = async (token: string) => {
    await page.getByRole('button', { name: 'Attach a repository' }).click()
    const dialog = page.getByRole('dialog', { name: 'Attach a repository' })
    await dialog.getByLabel('Repository').fill('acme/greeter')
    await dialog.getByLabel('Token').fill(token)
    await accessible(page)
    await dialog.getByRole('button', { name: 'Attach', exact: true }).click()
  }
  const going = page.getByRole('dialog', { name: /attaching/ })
  await attach(state.forge_tokens.outsider ?? '')
  await expect(going.getByText('missing').first()).toBeVisible({ timeout: 60_000 })
  expect(await going.getByText('missing', { exact: true }).count()).toBeGreaterThan(1)
  await accessible(page)
  await going.getByRole('button', { name: 'Close' }).click()
  await attach(state.forge_tokens.maintainer ?? '')
  await expect(going.getByRole('row', { name: /Webhooks.*held/ })).toBeVisible({ timeout: 60_000 })
  await expect(going.getByText('missing', { exact: true })).toHaveCount(0)
  await going.getByRole('button', { name: 'Close' }).click()
  await row.getByRole('button', { name: 'Check the rights' }).click()
  await expect(page.getByRole('dialog', { name: /rights/ }).getByRole('row', { name: /Contents.*held/ })).toBeVisible({ timeout: 60_000 })
})

test('a repository gets a new secret, is detached with a reason, and is attached again', async ({ page }) => {
  test.slow()
  const name = `spare-${Date.now().toString(36)}`
  const full = await makeRepository(name)
  await signIn(page, 'maintainer')
  const row = page.getByRole('row', { name: new RegExp(full) })
  const close = async (words: RegExp) => {
    const going = page.getByRole('dialog')
    await expect(going.getByText(words)).toBeVisible({ timeout: 60_000 })
    await accessible(page)
    await going.getByRole('button', { name: 'Close' }).click()
  }
  await attachRepository(page, full)

  await row.getByRole('button', { name: 'New secret' }).click()
  const rotate = page.getByRole('alertdialog', { name: /New secret/ })
  await rotate.getByLabel('Reason').fill('It stood in a log')
  await accessible(page)
  await rotate.getByRole('button', { name: 'New secret' }).press('Enter')
  await close(/signs with its new secret/)

  await row.getByRole('button', { name: 'Detach' }).click()
  const detach = page.getByRole('dialog', { name: `Detach ${full}` })
  await accessible(page)
  await expect(detach.getByRole('button', { name: /Detach/ })).toHaveAccessibleName(/reason/i)
  await detach.getByLabel('Reason').fill('It moves elsewhere')
  await detach.getByRole('button', { name: 'Detach', exact: true }).click()
  await close(/is detached\./)
  await expect(row.getByText('Detached', { exact: true })).toBeVisible()
  await expect(row.getByText('Withdrawn')).toBeVisible()
  await accessible(page)

  await row.getByRole('button', { name: 'Attach again' }).click()
  const attach = page.getByRole('dialog', { name: 'Attach a repository' })
  await expect(attach.getByLabel('Repository')).toHaveValue(full)
  await attach.getByLabel('Token').fill(state.forge_tokens.maintainer ?? '')
  await attach.getByRole('button', { name: 'Attach', exact: true }).click()
  await close(/is connected\./)
  await expect(row.getByText('Detached', { exact: true })).toHaveCount(0)
  await page.goto('/audit?kind=repository')
  await expect(page.getByRole('row', { name: /repository\.detaching/ }).first()).toBeVisible()
})
