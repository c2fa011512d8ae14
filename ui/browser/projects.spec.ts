import { accessible } from './accessible'
import { expect, signIn, test } from './platform'

test('members are added, given another role, and removed', async ({ page }) => {
  await signIn(page, 'maintainer', '/projects')
  await accessible(page)
  await page.getByRole('table').getByRole('link').first().click()
  await expect(page.getByRole('heading', { name: 'Members' })).toBeVisible()
  await accessible(page)
  const row = page.getByRole('row', { name: /reader@people\.example/ })
  await row.getByRole('combobox').selectOption('write')
  await expect(page.getByText(/has the role Write now\./)).toBeVisible()
  await page.reload()
  await expect(row.getByRole('combobox')).toHaveValue('write')
  await row.getByRole('combobox').selectOption('read')
  await expect(page.getByText(/has the role Read now\./)).toBeVisible()

  await row.getByRole('button', { name: 'Remove' }).click()
  await accessible(page)
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click()
  await expect(row).toHaveCount(0)
  await page.getByRole('button', { name: 'Add a member' }).click()
  await page.getByLabel('E-mail address').fill('reader@people.example')
  await accessible(page)
  await page.getByRole('dialog').getByRole('button', { name: 'Add a member' }).click()
  await expect(row).toBeVisible()
})

test('a button that a role may not press says why', async ({ page }) => {
  await signIn(page, 'reader', '/projects')
  await page.getByRole('table').getByRole('link').first().click()
  const add = page.getByRole('button', { name: /Add a member/ })
  await expect(add).toHaveAttribute('aria-disabled', 'true')
  await expect(add).toHaveAccessibleName(/Only admins of the project may do this/)
  await add.click({ force: true })
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await accessible(page)
})

test('a project that is not there looks like one that may not be seen', async ({ page }) => {
  await signIn(page, 'reader', '/projects/no-such-project')
  await expect(page.getByRole('alert')).toContainText('project_not_found')
  await expect(page.getByRole('alert')).toContainText('request')
  await accessible(page)
})
