SELECT charges, suspect FROM testimonies WHERE id = ?
