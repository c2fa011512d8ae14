import { accessible } from './accessible'
import { attachRepository, commitFile, expect, makeRepository, signIn, test } from './platform'

test.describe.configure({ timeout: 120_000 })

test('an agent of a project is found, and two versions of its prompt are compared', async ({ page }) => {
  test.slow()
  const name = `agents-${Date.now().toString(36)}`
  const full = await makeRepository(name)
  const settings = (words: string) => `version: 1\nagents:\n  dev: {prompt: ${words}, limits: {minutes: ${String(words.length)}}}\n`
  await commitFile(full, 'services.yaml', settings('Use tabs'))
  await signIn(page, 'maintainer')
  await attachRepository(page, full)

  await page.getByRole('link', { name: 'Agents' }).click()
  const row = page.getByRole('row', { name: new RegExp(`^dev .*${full}`) })
  await expect(row.getByText('label run:dev')).toBeVisible()
  await expect(row.getByText('8 minutes')).toBeVisible()
  await accessible(page)
  await commitFile(full, 'services.yaml', settings('Use spaces'))
  const second = row.getByRole('link', { name: /Version 2/ })
  await expect(async () => {
    await page.reload()
    await expect(second).toBeVisible({ timeout: 2000 })
  }).toPass({ timeout: 60_000 })
  await second.click()
  await expect(page.getByRole('heading', { name: 'dev' })).toBeVisible()
  const changes = page.getByRole('region', { name: 'Changes' })
  await expect(changes.getByText('Use tabs', { exact: true })).toBeVisible()
  await expect(changes.getByText('Use spaces', { exact: true })).toBeVisible()
  await expect(page.getByRole('row', { name: /turn 8 minutes 10 minutes/ })).toBeVisible()
  await accessible(page)
  await page.getByLabel('Compare').selectOption({ label: await page.getByLabel('Compare').locator('option').first().innerText() })
  await expect(page).toHaveURL(/from=2/)
  await expect(page.getByText('You are `dev`')).toBeVisible()
  await accessible(page)
})
